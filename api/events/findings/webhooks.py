"""Posts the outbox to the webhook: signed, in the background, again until it is taken.

Where it may lead: its host is resolved once, checked, and then reached at that very address.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import urlsplit

from api import find_version
from api.events.findings import outbox
from api.events.findings.outbox import Claimed
from api.server.database.engine import Database
from api.server.settings import Settings

# Addresses of IPv4 behind a translator (RFC 6052, section 2.1).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """The webhook's address may not be used; the message says why."""


@dataclass(frozen=True)
class Target:
    """Where a post goes: `url` names an address instead of the host, which `host` still tells the receiver.

    hostname: the one that a certificate must name.
    """

    url: str
    host: str
    hostname: str


def find_target(url: str, *, allow_private: bool) -> Target:
    """Resolve a webhook's URL to the address that is posted to; raises AddressRefused.

    One address that is not public is enough to refuse a name: another look-up might give that one.
    """
    parts = urlsplit(url)
    hostname = parts.hostname or ""
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise AddressRefused(f"{hostname} cannot be resolved: {error}") from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not addresses:
        raise AddressRefused(f"{hostname} has no address")
    for address in addresses:
        if not allow_private and not is_public(address):
            raise AddressRefused(
                f"{hostname} leads to {address}, which is not public; GANVAS_WEBHOOK_PRIVATE=true allows it"
            )
    first = addresses[0]
    pinned = f"[{first}]" if first.version == 6 else str(first)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(f"{parts.scheme}://{pinned}:{port}{path}", parts.netloc, hostname)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is of the public internet: not of this machine, a private network or a group."""
    inner = _find_inner(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _find_inner(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that one of IPv6 leads to, by a mapping, a tunnel or a translator."""
    if not isinstance(address, IPv6Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


logger = logging.getLogger(__name__)
DELIVERY_HEADER, TIME_HEADER, SIGNATURE_HEADER = "Ganvas-Delivery", "Ganvas-Timestamp", "Ganvas-Signature"
# Of one try: to resolve, connect, send, and read the head of the answer.
TRY_SECONDS = 20.0
_LOOK_EVERY_SECONDS = 1.0
_TIDY_EVERY_SECONDS = 3600.0
Post = Callable[[Target, bytes, dict[str, str]], int]


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a post: the HMAC-SHA256 of `timestamp.body` in hexadecimal digits."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class WebhookSender:
    """A thread that delivers the outbox; one of several replicas delivers each message.

    post: sends a body with headers to a target and returns the status of the answer.
    """

    def __init__(self, database: Database, settings: Settings, post: Post | None = None) -> None:
        self._database = database
        self._settings = settings
        self._post = post or post_once
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._tidied_at = float("-inf")

    def start(self) -> None:
        """Start the thread, if there is a webhook."""
        if self._settings.webhook_url is not None:
            self._thread.start()

    def close(self) -> None:
        """Stop after the current try; what is left is delivered after the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(TRY_SECONDS)

    def deliver_due(self) -> int:
        """Deliver what is due now, and return how many messages were tried."""
        tried = 0
        while not self._stopping.is_set():
            with self._database.read() as session:
                if not outbox.has_due(session):
                    return tried
            with self._database.write() as session:
                claimed = outbox.claim_delivery(session)
            if claimed is None:
                return tried
            self._deliver(claimed)
            tried += 1
        return tried

    def _deliver(self, claimed: Claimed) -> None:
        problem = self._try(claimed)
        with self._database.write() as session:
            if problem is None:
                outbox.mark_delivered(session, claimed)
            else:
                outbox.mark_failed(session, claimed, problem)
        if problem is not None:
            logger.warning("The webhook did not take %s (try %d): %s", claimed.key, claimed.tries, problem)

    def _try(self, claimed: Claimed) -> str | None:
        """Post a message; returns why it was not taken, None if it was."""
        url, secret = self._settings.webhook_url or "", self._settings.webhook_secret or ""
        body = json.dumps(self._complete(claimed), ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Ganvas/{find_version()}",
            DELIVERY_HEADER: claimed.key,
            TIME_HEADER: timestamp,
            SIGNATURE_HEADER: f"sha256={sign(secret, timestamp, body)}",
        }
        try:
            target = find_target(url, allow_private=self._settings.webhook_private)
            status = self._post(target, body, headers)
        except AddressRefused as error:
            return str(error)
        except TimeoutError:
            return f"no answer within {TRY_SECONDS:g} seconds"
        except Exception as error:
            # Whatever a library raises: the message is tried again.
            return f"{type(error).__name__}: {error}"
        if 300 <= status < 400:
            return f"the answer was {status}: a redirect, which is not followed; set GANVAS_WEBHOOK_URL to its end"
        return None if 200 <= status < 300 else f"the answer was {status}"

    def _complete(self, claimed: Claimed) -> dict[str, Any]:
        job = claimed.body["job"]
        public = self._settings.public_url.rstrip("/")
        return {**claimed.body, "delivery": claimed.key, "job": {**job, "url": f"{public}/runs/{job['id']}"}}

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_SECONDS):
            try:
                self.deliver_due()
                self._tidy()
            except Exception:
                # Such as while the database restarts.
                logger.exception("Deliveries to the webhook failed; they are tried again.")

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied_at >= _TIDY_EVERY_SECONDS:
            self._tidied_at = time.monotonic()
            with self._database.write() as session:
                outbox.delete_old_deliveries(session)


def post_once(target: Target, body: bytes, headers: dict[str, str]) -> int:
    """Post to the pinned address and return the answer's status, of which no body is read; raises TimeoutError.

    No proxy of the environment is asked: it would resolve the name on its own.
    """
    return asyncio.run(_post_in_time(target, body, headers))


async def _post_in_time(target: Target, body: bytes, headers: dict[str, str]) -> int:
    # Loaded with the first message: an idle service does without.
    import httpx

    options: dict[str, Any] = {"extensions": {"sni_hostname": target.hostname}}
    async with (
        asyncio.timeout(TRY_SECONDS),
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=TRY_SECONDS) as client,
        client.stream(
            "POST", target.url, content=body, headers={"Host": target.host, **headers}, **options
        ) as response,
    ):
        return response.status_code
