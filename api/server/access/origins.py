"""The address to bind, allowed hosts and origins, and the headers of every answer.

Imports no FastAPI, which would delay the first answer of a starting service.
"""

import re
from collections.abc import Callable, Mapping

from api.errors import OriginRefused
from api.server.settings import Settings

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
# A name or an address with an optional port.
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:/?#@\\\s]*))(?::[0-9]{1,5})?")

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


class BindRefused(Exception):
    """The service would serve others without a token or allowed hosts, or with a token that can be guessed."""


# A guess costs an attacker little: the limit of failed ones only makes a token of this size safe.
MIN_TOKEN_LENGTH = 16
MIN_TOKEN_CHARACTERS = 8


def check_bind(settings: Settings, has_tokens: Callable[[], bool]) -> None:
    """Raise BindRefused where others would reach the service without a token, or without allowed hosts.

    That is an address beyond this machine, or settings for a reverse proxy, which brings others to 127.0.0.1.
    has_tokens: returns whether any token was ever made; called only where no GANVAS_TOKEN is set.
    """
    if settings.host in LOOPBACK_HOSTS:
        _check_proxied(settings, has_tokens)
        return
    missing = []
    if not settings.token and not has_tokens():
        missing.append("GANVAS_TOKEN (or make a token with `ganvas token create`)")
    if not settings.allowed_hosts:
        missing.append("GANVAS_ALLOWED_HOSTS")
    if missing:
        raise BindRefused(
            f"Listening on {settings.host} would let others reach this service: "
            f"set {' and '.join(missing)} first, or listen on 127.0.0.1."
        )


def _check_proxied(settings: Settings, has_tokens: Callable[[], bool]) -> None:
    is_proxied = {
        "GANVAS_ALLOWED_HOSTS": any(name.lower() not in LOOPBACK_HOSTS for name in settings.allowed_hosts),
        "GANVAS_OWN_ADDRESS": bool(settings.own_address) and settings.own_address.lower() not in LOOPBACK_HOSTS,
        "GANVAS_TRUSTED_PROXIES": bool(settings.trusted_proxies),
        "GANVAS_ROOT_PATH": bool(settings.root_path),
    }
    named = [name for name, is_set in is_proxied.items() if is_set]
    if named and not settings.without_token and not settings.token and not has_tokens():
        raise BindRefused(
            f"With {' and '.join(named)} a proxy brings others to this service, and without a token they may do "
            "everything: make one with `ganvas token create` (or set GANVAS_TOKEN), or say "
            "GANVAS_WITHOUT_TOKEN=true if all who reach the proxy may do everything."
        )


def check_token(settings: Settings) -> None:
    """Raise BindRefused for a GANVAS_TOKEN that could be guessed."""
    token = settings.token
    if token and (len(token) < MIN_TOKEN_LENGTH or len(set(token)) < MIN_TOKEN_CHARACTERS):
        raise BindRefused(
            f"GANVAS_TOKEN could be guessed: give it at least {MIN_TOKEN_LENGTH} characters, "
            f"{MIN_TOKEN_CHARACTERS} of them different; `openssl rand -hex 32` prints one."
        )


def check_host(host: str | None, allowed: frozenset[str]) -> None:
    """Raise OriginRefused when the Host header names none of the allowed hosts (DNS rebinding)."""
    name = split_host(host or "")
    if name not in allowed:
        raise OriginRefused(
            f"Requests for the host {name[:100]!r} are refused; add it to GANVAS_ALLOWED_HOSTS to allow it."
        )


def check_origin(method: str, headers: Mapping[str, str]) -> None:
    """Raise OriginRefused when a browser reports that another site's page made this request.

    Following a link from another site (a navigation that only reads) is allowed.
    """
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        raise OriginRefused
    site = headers.get("sec-fetch-site", "none")
    follows_link = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    is_page = headers.get("sec-fetch-dest") == "document"
    if site not in ("same-origin", "none") and not (follows_link and is_page):
        raise OriginRefused


def split_host(host: str) -> str:
    """Return the name in a Host header without port and brackets; empty for a malformed header."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).lower() if match else ""
