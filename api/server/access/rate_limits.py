"""Rate limits of submitted jobs and failed logins, for each caller.

They are counted in this process: each replica counts for itself.
"""

import threading
import time
from collections import deque

from api.errors import TooManyRequests

_MAX_CALLERS = 10_000


class SlidingWindow:
    """A sliding window: at most `count` events within any `seconds`, for each caller. Threads may share it."""

    def __init__(self, count: int, seconds: float) -> None:
        self._count = count
        self._seconds = seconds
        self._lock = threading.Lock()
        self._times: dict[str, deque[float]] = {}

    def seconds_until_free(self, caller: str) -> float:
        """Return the time until the caller may continue, 0 if it need not wait."""
        with self._lock:
            times = self._recent(caller)
            return times[0] + self._seconds - time.monotonic() if len(times) >= self._count else 0.0

    def record(self, caller: str) -> None:
        """Count one event."""
        with self._lock:
            if len(self._times) >= _MAX_CALLERS and caller not in self._times:
                # The caller that was recorded first is forgotten, so that memory stays bounded.
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


class RateLimits:
    """The rate limits of this process."""

    def __init__(self, submits_per_minute: int, login_failures_per_minute: int) -> None:
        self._submits = SlidingWindow(submits_per_minute, 60.0)
        self._login_failures = SlidingWindow(login_failures_per_minute, 60.0)

    def count_submit(self, caller: str) -> None:
        """Count a submitted job; raises TooManyRequests."""
        _refuse_while(self._submits, caller, "Too many jobs were submitted within a minute")
        self._submits.record(caller)

    def check_login(self, address: str) -> None:
        """Raise TooManyRequests while too many logins from this address have failed."""
        _refuse_while(self._login_failures, address, "Too many logins have failed")

    def record_failed_login(self, address: str) -> None:
        """Count a login that failed."""
        self._login_failures.record(address)


def _refuse_while(window: SlidingWindow, caller: str, problem: str) -> None:
    seconds = window.seconds_until_free(caller)
    if seconds > 0:
        raise TooManyRequests(f"{problem}; try again in {seconds:.0f} s.", retry_after_seconds=round(seconds, 1))
