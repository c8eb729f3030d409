"""A worker without messages polls the queue."""

from collections.abc import Iterator

import pytest

from api.client.client import Client
from tests.conftest import LiveService
from tests.ganvas.conftest import TINY_SPEC
from worker.loop.queue_poller import QueuePoller


class IdleWorker:
    """The worker that the poller wakes, and how often."""

    def __init__(self) -> None:
        self.is_idle = True
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1


@pytest.fixture
def worker() -> IdleWorker:
    return IdleWorker()


@pytest.fixture
def poller(live_service: LiveService, worker: IdleWorker) -> Iterator[QueuePoller]:
    poller = QueuePoller(live_service.url, None, lambda: worker.is_idle, worker.wake, every_seconds=0.05)
    poller.start()
    yield poller
    poller.close()


def test_idle_worker_wakes_itself_for_a_queued_job(
    live_service: LiveService, poller: QueuePoller, worker: IdleWorker
) -> None:
    poller.poll_once()
    assert worker.wakes == 0
    with Client(live_service.url) as client:
        client.submit(TINY_SPEC)
    poller.poll_once()
    assert worker.wakes >= 1


def test_busy_worker_is_left_alone(live_service: LiveService, poller: QueuePoller, worker: IdleWorker) -> None:
    worker.is_idle = False
    with Client(live_service.url) as client:
        client.submit(TINY_SPEC)
    poller.poll_once()
    assert worker.wakes == 0


def test_absent_service_is_borne(worker: IdleWorker) -> None:
    poller = QueuePoller("http://127.0.0.1:9", None, lambda: True, worker.wake)
    poller.poll_once()
    assert worker.wakes == 0
    poller.start()
    poller.close()
