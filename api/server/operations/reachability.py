"""Asks this service on its own port, as a stranger would, whether it takes connections and answers."""

import ipaddress
import socket
import time
from collections.abc import Callable

TIMEOUT_SECONDS = 2.0
# Between tries until the first one has worked.
FIRST_TRY_EVERY_SECONDS = 10.0
_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_FINE = (b"HTTP/1.1 200", b"HTTP/1.0 200")


class Reachability:
    """Finds out whether a new connection would be answered.

    Only a question that once worked can tell: behind TLS, or in a server of another kind, none does, and then the
    service counts as reachable.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._address: tuple[str, int] | None = None
        self._has_worked = False
        self._tried_at = float("-inf")

    def learn_address(self, server: object) -> None:
        """Take the address from the `server` of an ASGI scope, unless it is known or no address of a socket."""
        if self._address is not None or not isinstance(server, (tuple, list)) or len(server) != 2 or not server[1]:
            return
        try:
            ipaddress.ip_address(server[0])
        except ValueError:
            return
        self._address = (str(server[0]), int(server[1]))

    def is_reachable(self, is_wanted: bool) -> bool:
        """Ask if it is wanted, or if no question has worked yet; False if one is not answered any more."""
        if self._address is None:
            return True
        now = self._clock()
        if not self._has_worked and now - self._tried_at < FIRST_TRY_EVERY_SECONDS:
            return True
        if self._has_worked and not is_wanted:
            return True
        self._tried_at = now
        is_answered = self._ask(self._address)
        was_ever = self._has_worked
        self._has_worked = was_ever or is_answered
        return is_answered or not was_ever

    def _ask(self, address: tuple[str, int]) -> bool:
        try:
            with socket.create_connection(address, TIMEOUT_SECONDS) as connection:
                connection.sendall(_REQUEST)
                return connection.recv(64).startswith(_FINE)
        except OSError:
            return False
