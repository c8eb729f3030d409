"""Where a webhook may lead: its host is resolved once, checked, and then reached at that very address."""

import ipaddress
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

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
