"""Streams that read together: one answer for those who ask at once, never one from before the last news."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from api.events.feed import Messages, SharedReads


class Slow:
    """A database that answers when it is told to, with what was there when it was asked."""

    def __init__(self) -> None:
        self.newest = 1
        self.asked = 0
        self.answers = threading.Event()

    def read(self, after: int) -> Messages:
        """Read as a stream does."""
        self.asked += 1
        newest = self.newest
        assert self.answers.wait(60)
        return [b"message"] * (newest - after), newest


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_those_who_ask_at_once_are_answered_together() -> None:
    async def ask() -> list[Messages]:
        asking = [asyncio.create_task(reads.read("job", 0, slow.read)) for _ in range(50)]
        await until(lambda: slow.asked > 0)
        slow.answers.set()
        return await asyncio.gather(*asking)

    reads, slow = SharedReads(), Slow()
    assert asyncio.run(ask()) == [([b"message"], 1)] * 50
    assert slow.asked == 1


def test_another_job_or_another_place_is_asked_for_itself() -> None:
    async def ask() -> None:
        slow.answers.set()
        await asyncio.gather(*(reads.read(job, after, slow.read) for job in ("one", "other") for after in (0, 1)))

    reads, slow = SharedReads(), Slow()
    asyncio.run(ask())
    assert slow.asked == 4


@pytest.mark.parametrize("hears", [True, False], ids=["news", "control"])
def test_who_asks_after_news_is_told_of_them(hears: bool) -> None:
    async def ask() -> tuple[Messages, Messages]:
        early = asyncio.create_task(reads.read("job", 0, slow.read))
        await until(lambda: slow.asked == 1)
        slow.newest = 2
        if hears:
            reads.invalidate("job")
        late = asyncio.create_task(reads.read("job", 0, slow.read))
        await until(lambda: slow.asked == 1 + hears)
        await asyncio.sleep(0.01)
        slow.answers.set()
        return await early, await late

    reads, slow = SharedReads(), Slow()
    early, late = asyncio.run(ask())
    assert (early[1], late[1]) == (1, 2 if hears else 1)


def test_one_that_goes_away_leaves_the_others_their_answer() -> None:
    async def ask() -> Messages:
        first, second = (asyncio.create_task(reads.read("job", 0, slow.read)) for _ in range(2))
        await until(lambda: slow.asked == 1)
        first.cancel()
        await asyncio.sleep(0.01)
        slow.answers.set()
        return await second

    reads, slow = SharedReads(), Slow()
    assert asyncio.run(ask()) == ([b"message"], 1)
    assert slow.asked == 1


def test_a_failure_is_told_to_all_and_not_kept() -> None:
    def fail(after: int) -> Messages:
        raise OSError("away")

    async def ask() -> Messages:
        failed = await asyncio.gather(*(reads.read("job", 0, fail) for _ in range(3)), return_exceptions=True)
        assert [str(error) for error in failed] == ["away"] * 3
        slow.answers.set()
        return await reads.read("job", 0, slow.read)

    reads, slow = SharedReads(), Slow()
    assert asyncio.run(ask()) == ([b"message"], 1)
