"""A worker that no message reaches."""

from collections.abc import Iterator

import pytest

from api.client.client import Client
from tests.conftest import LiveService
from tests.ganvas.conftest import TINY_SPEC
from worker.loop.queue_poller import SelfWaker


class Watched:
    """A worker's end of the waker: whether it is idle, and how often it was woken."""

    def __init__(self) -> None:
        self.is_idle = True
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def waker(live_service: LiveService, watched: Watched) -> Iterator[SelfWaker]:
    waker = SelfWaker(live_service.url, None, lambda: watched.is_idle, watched.wake, every_seconds=0.05)
    waker.start()
    yield waker
    waker.close()


def test_idle_worker_wakes_itself_for_a_queued_job(
    live_service: LiveService, waker: SelfWaker, watched: Watched
) -> None:
    waker.look_once()
    assert watched.wakes == 0
    with Client(live_service.url) as client:
        client.submit(TINY_SPEC)
    waker.look_once()
    assert watched.wakes >= 1


def test_busy_worker_is_left_alone(live_service: LiveService, waker: SelfWaker, watched: Watched) -> None:
    watched.is_idle = False
    with Client(live_service.url) as client:
        client.submit(TINY_SPEC)
    waker.look_once()
    assert watched.wakes == 0


def test_absent_service_is_borne(watched: Watched) -> None:
    waker = SelfWaker("http://127.0.0.1:9", None, lambda: True, watched.wake)
    waker.look_once()
    assert watched.wakes == 0
    waker.start()
    waker.close()
