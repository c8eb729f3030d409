"""Costly answers: a few at once, so that their memory is bounded however many readers ask.

Each holds one curve, one page of histograms or the header of one checkpoint. More at once would be no faster:
Python computes one at a time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.errors import TooManyRequests

AT_ONCE = 4
# Each that waits is a request in the hands of the service; beyond them clients wait on their side.
MOST_WAITING = 16
WAIT_SECONDS = 20.0


class CostlyAnswers:
    """Slots for costly answers, in the order of the requests."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold a slot; raises TooManyRequests when too many wait, or none becomes free in WAIT_SECONDS."""
        if self._slots.locked() and self._waiting >= MOST_WAITING:
            raise _refuse()
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise _refuse() from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()


def _refuse() -> TooManyRequests:
    return TooManyRequests("Too many large answers are being made; ask again in a moment.", retry_after_seconds=2)
