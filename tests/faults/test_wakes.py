"""Wake-ups that come too often or never: the claim decides."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from api.server.broker.celery import WORK_TASK, build_broker
from tests.faults.conftest import SPEC, long_or_short
from tests.support.faults.machines import PATIENCE_SECONDS, wait_until
from tests.support.faults.redis_server import RedisServer, run_redis
from tests.support.faults.trainers import paused_trainer

TINY = {**SPEC, "iterations": 40, "sample_every": 20, "checkpoint_every": 20}


def test_a_wake_up_that_comes_a_hundred_times_runs_each_job_once(
    start_service, start_worker, connect, say
) -> None:
    wakes, jobs = long_or_short(100, 20), long_or_short(3, 2)
    service = start_service()
    client = connect(service.url)
    broker = build_broker(None, service.home)
    for _ in range(wakes):
        broker.send_task(WORK_TASK, ignore_result=True)
    ids = [client.submit(TINY).id for _ in range(jobs)]
    start_worker(service.url)
    ended = [client.wait(job_id, timeout=PATIENCE_SECONDS) for job_id in ids]
    assert [(job.state, len(job.attempts)) for job in ended] == [("succeeded", 1)] * jobs
    wait_until(lambda: not list((service.home / "broker" / "messages").glob("*.msg")))
    assert [len(client.get(job_id).attempts) for job_id in ids] == [1] * jobs
    broker.close()
    say(
        f"the same wake-up {wakes} times",
        1,
        "each job runs once",
        f"{jobs} jobs, one attempt each; no message left",
    )


@contextmanager
def killed(server: RedisServer) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def emptied(server: RedisServer) -> Iterator[None]:
    server.empty()
    yield


@contextmanager
def paused(server: RedisServer) -> Iterator[None]:
    server.pause()
    yield
    server.resume()


@pytest.mark.parametrize("fault", [killed, emptied, paused], ids=lambda fault: fault.__name__)
def test_a_redis_that_is_lost_while_a_job_ends_costs_nothing_but_a_moment(
    start_service, start_worker, connect, tmp_path, say, fault
) -> None:
    """Lost in mid-job; the next job waits before it is back."""
    times = long_or_short(10, 1)
    with run_redis(tmp_path) as server:
        service = start_service(broker_url=server.url, wake_every_seconds=1)
        client = connect(service.url)
        start_worker(service.url, broker_url=server.url, poll_seconds=0.5)
        for _ in range(times):
            with ExitStack() as stack:
                during = client.submit(TINY)
                with paused_trainer(service.home):
                    stack.enter_context(fault(server))
                # The second one is asked for by the worker itself.
                meanwhile = client.submit(TINY)
                ended = [client.wait(job.id, timeout=PATIENCE_SECONDS) for job in (during, meanwhile)]
            ended.append(client.wait(client.submit(TINY).id, timeout=PATIENCE_SECONDS))
            assert [(job.state, len(job.attempts)) for job in ended] == [("succeeded", 1)] * 3
        wait_until(lambda: server.count_listeners() == 1)
        service.kill()
    say(
        f"Redis {fault.__name__} in mid-job and while a job waits",
        times,
        "each job runs once, and the worker listens again",
        f"{3 * times} jobs, one attempt each",
    )
