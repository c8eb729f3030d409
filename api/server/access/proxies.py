"""What trusted reverse proxies say about a request: the client's address, https, and a path prefix.

Only addresses of GANVAS_TRUSTED_PROXIES are believed. Imports no FastAPI, which would delay the first answer of a
starting service.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from api.server.settings import ROOT_PATH, Settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# Key of the ASGI scope that holds the path below which the browser sees the service; empty without a prefix.
ROOT = "ganvas.root"
# One household or machine gets a whole such network, so single addresses of it would not be limits.
_CLIENT_BITS = 64


class ProxyReader:
    """Reads the X-Forwarded-… headers of trusted proxies into the ASGI scope."""

    def __init__(self, settings: Settings) -> None:
        self._networks = settings.trusted_proxies
        self._root_path = settings.root_path

    def read(self, scope: Any) -> None:
        """Set `client`, `scheme`, `path` without its prefix, and the prefix under ROOT."""
        peer = scope["client"][0] if scope.get("client") else ""
        root = self._root_path
        if is_trusted(peer, self._networks):
            if _read_last(scope, b"x-forwarded-proto").lower() in ("https", "wss"):
                scope["scheme"] = "https"
            chain = ",".join(_read_all(scope, b"x-forwarded-for"))
            scope["client"] = (find_client(peer, chain, self._networks), 0)
            root = root or _read_prefix(scope)
        scope["path"] = strip_root(root, scope["path"])
        scope[ROOT] = root


def strip_root(root: str, path: str) -> str:
    """Return the path without the prefix, which some proxies pass on and others remove."""
    if root and (path == root or path.startswith(f"{root}/")):
        return path.removeprefix(root) or "/"
    return path


def is_trusted(address: str, networks: Sequence[Network]) -> bool:
    """Return whether the address belongs to a trusted proxy."""
    parsed = _parse(address) if networks else None
    return parsed is not None and any(parsed in network for network in networks)


def find_client(peer: str, chain: str, networks: Sequence[Network]) -> str:
    """Return the client's address from X-Forwarded-For: the last one that no trusted proxy has.

    Each proxy appends whom it serves, so what stands further to the left may be made up.
    """
    client = peer
    for part in reversed([part.strip() for part in chain.split(",") if part.strip()]):
        address = _parse(_without_port(part))
        if address is None:
            break
        client = str(address)
        if not is_trusted(client, networks):
            break
    return client


def limit_key(address: str) -> str:
    """Return the name under which an address is limited: an IPv6 address by its network of 64 bits."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _CLIENT_BITS), strict=False))
    return address if parsed is None else str(parsed)


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _read_all(scope: Any, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _read_last(scope: Any, name: bytes) -> str:
    """Return what the nearest proxy has added."""
    return ",".join(_read_all(scope, name)).rpartition(",")[2].strip()


def _read_prefix(scope: Any) -> str:
    prefix = _read_last(scope, b"x-forwarded-prefix").rstrip("/")
    return prefix if ROOT_PATH.fullmatch(prefix) else ""
