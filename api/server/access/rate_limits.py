"""How often one caller may do what costs something: submitting jobs, and guessing tokens at the login page.

Counted in this process: of several replicas each counts for itself.
"""

import threading
import time
from collections import deque

from api.errors import TooManyRequests

_MAX_CALLERS = 10_000


class Window:
    """At most `count` of something within any `seconds`, for each caller. Threads may share it."""

    def __init__(self, count: int, seconds: float) -> None:
        self._count = count
        self._seconds = seconds
        self._lock = threading.Lock()
        self._times: dict[str, deque[float]] = {}

    def seconds_until_free(self, caller: str) -> float:
        """Return how long this caller has to wait before one more is allowed, 0 if it need not."""
        with self._lock:
            times = self._recent(caller)
            return times[0] + self._seconds - time.monotonic() if len(times) >= self._count else 0.0

    def note(self, caller: str) -> None:
        """Count one more."""
        with self._lock:
            if len(self._times) >= _MAX_CALLERS and caller not in self._times:
                # Whoever was counted longest ago is forgotten: memory stays bounded whoever knocks.
                self._times.pop(next(iter(self._times)))
            self._times.setdefault(caller, deque()).append(time.monotonic())

    def _recent(self, caller: str) -> deque[float]:
        times = self._times.get(caller, deque())
        begin = time.monotonic() - self._seconds
        while times and times[0] <= begin:
            times.popleft()
        if not times:
            self._times.pop(caller, None)
        return times


class Limits:
    """The limits of this process."""

    def __init__(self, submits_per_minute: int, login_failures_per_minute: int) -> None:
        self._submits = Window(submits_per_minute, 60.0)
        self._login_failures = Window(login_failures_per_minute, 60.0)

    def count_submit(self, caller: str) -> None:
        """Count a submitted job; raises TooManyRequests."""
        _refuse_while(self._submits, caller, "Too many jobs were submitted within a minute")
        self._submits.note(caller)

    def check_login(self, address: str) -> None:
        """Raise TooManyRequests while too many logins from this address have failed."""
        _refuse_while(self._login_failures, address, "Too many logins have failed")

    def note_failed_login(self, address: str) -> None:
        """Count a login that failed."""
        self._login_failures.note(address)


def _refuse_while(window: Window, caller: str, what: str) -> None:
    seconds = window.seconds_until_free(caller)
    if seconds > 0:
        raise TooManyRequests(f"{what}; try again in {seconds:.0f} s.", retry_after_seconds=round(seconds, 1))
