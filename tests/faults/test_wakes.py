"""Wake-ups that come too often or never: the claim decides."""

from api.server.broker.celery import WORK_TASK, build_broker
from tests.faults.conftest import SPEC, long_or_short
from tests.support.faults.machines import PATIENCE_SECONDS, wait_until
from tests.support.faults.redis_server import run_redis

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


def test_a_redis_that_is_killed_or_emptied_costs_nothing_but_a_moment(
    start_service, start_worker, connect, tmp_path, say
) -> None:
    times = long_or_short(10, 1)
    with run_redis(tmp_path) as server:
        service = start_service(broker_url=server.url, wake_every_seconds=1)
        client = connect(service.url)
        start_worker(service.url, broker_url=server.url)
        wait_until(lambda: client.list_workers())
        for _ in range(times):
            server.kill()
            lost = client.submit(TINY)
            server.start()
            assert client.wait(lost.id, timeout=PATIENCE_SECONDS).state == "succeeded"
            # Emptied while a job waits and before anyone is told of it again.
            emptied = client.submit(TINY)
            server.empty()
            assert client.wait(emptied.id, timeout=PATIENCE_SECONDS).state == "succeeded"
            assert [len(client.get(job.id).attempts) for job in (lost, emptied)] == [1, 1]
        service.kill()
    say(
        "Redis killed (SIGKILL), Redis emptied",
        f"{times} each",
        "jobs submitted meanwhile run once, when the service wakes the workers again",
        f"{2 * times} jobs, one attempt each",
    )
