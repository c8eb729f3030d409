"""Rate limits of submitted jobs, failed logins and wrong tokens, for each caller.

They are counted in this process: each replica counts for itself.
"""

import threading
import time
from collections import OrderedDict, deque

from api.errors import TooManyRequests
from api.server.access.proxies import limit_key

_MAX_CALLERS = 10_000
# Repeats included; a program that goes on with an old token stays below it.
WRONG_TOKENS_PER_MINUTE = 100


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
        # Counted apart: a program with an old token must not keep the people beside it from logging in.
        self._guesses = SlidingWindow(login_failures_per_minute, 60.0)
        self._wrong_tokens = SlidingWindow(WRONG_TOKENS_PER_MINUTE, 60.0)
        # Repeats of one wrong token are no guesses.
        self._repeats = SlidingWindow(1, 60.0)
        # Tokens that were right, by address: guesses from that address do not lock out who has one already.
        self._right: OrderedDict[tuple[str, str], None] = OrderedDict()

    def count_submit(self, caller: str) -> None:
        """Count a submitted job; raises TooManyRequests."""
        _refuse_while(self._submits, caller, "Too many jobs were submitted within a minute")
        self._submits.record(caller)

    def check_login(self, address: str) -> None:
        """Raise TooManyRequests while too many logins from this address have failed."""
        _refuse_while(self._login_failures, limit_key(address), "Too many logins have failed")

    def record_failed_login(self, address: str) -> None:
        """Count a login that failed."""
        self._login_failures.record(limit_key(address))

    def check_token(self, address: str, sha256: str) -> None:
        """Raise TooManyRequests after too many wrong tokens from this address; not for one that was right here."""
        if (address, sha256) not in self._right:
            for window in (self._guesses, self._wrong_tokens):
                _refuse_while(window, limit_key(address), "Too many wrong tokens came from this address")

    def record_wrong_token(self, address: str, sha256: str) -> None:
        """Count a token that is not valid."""
        key = limit_key(address)
        self._right.pop((address, sha256), None)
        self._wrong_tokens.record(key)
        if self._repeats.seconds_until_free(f"{key} {sha256}") <= 0:
            self._repeats.record(f"{key} {sha256}")
            self._guesses.record(key)

    def record_right_token(self, address: str, sha256: str) -> None:
        """Remember that this token is valid and comes from this address."""
        self._right[address, sha256] = None
        if len(self._right) > _MAX_CALLERS:
            self._right.popitem(last=False)


def _refuse_while(window: SlidingWindow, caller: str, problem: str) -> None:
    seconds = window.seconds_until_free(caller)
    if seconds > 0:
        raise TooManyRequests(f"{problem}; try again in {seconds:.0f} s.", retry_after_seconds=round(seconds, 1))
