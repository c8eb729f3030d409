"""Attempts that lost their job, and jobs that nobody may take: each with a control without the guard."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from api.attempts.schemas import FinishPost
from api.client.client import Client, WorkerClient
from api.client.transport import ServiceUnreachable
from api.errors import AttemptFenced, NotAuthenticated, TooManyRequests
from tests.faults.conftest import SPEC, encode_post, long_or_short
from tests.support.faults.holding import claim_as, hold
from tests.support.faults.machines import wait_until
from tests.support.processes import find_trainers
from tests.support.services import make_line, make_metrics

FOREVER = {**SPEC, "iterations": 1_000_000, "sample_every": 100_000, "checkpoint_every": 100_000}


def write_stale(client: WorkerClient, job_id: str, turn: int) -> bool:
    """Write as the first attempt, in one of three ways; returns whether it was taken."""
    body = encode_post([make_metrics(1, loss_generator=9.0), make_line(1, "stale")], 1000 + turn)
    finish = FinishPost(end="failed", events_count=0)
    try:
        if turn % 3 == 0:
            client.heartbeat(job_id, 1)
        elif turn % 3 == 1:
            client.post_events(job_id, 1, body)
        else:
            client.finish(job_id, 1, finish)
    except (AttemptFenced, NotAuthenticated):
        return False
    except (ServiceUnreachable, TooManyRequests):
        # Of a machine that is too busy to answer, which says nothing of the fence.
        time.sleep(0.1)
        return write_stale(client, job_id, turn)
    except Exception:
        # Refused for something else: the fence let it pass.
        return True
    return True


def count_stale_writes_taken(url: str, job_id: str, count: int) -> int:
    with WorkerClient(url) as client, ThreadPoolExecutor(8) as threads:
        return sum(threads.map(lambda turn: write_stale(client, job_id, turn), range(count)))


@pytest.mark.parametrize("tampering", [(), ("off:fence",)], ids=["fence", "control"])
def test_what_a_worker_writes_that_slept_past_its_lease_is_refused(
    start_service, start_worker, connect, say, tampering
) -> None:
    count = long_or_short(1000, 120)
    service = start_service("quick", *tampering, lease_seconds=2, attempts_allowed=100)
    client: Client = connect(service.url)
    job_id = client.submit(FOREVER).id
    if tampering:
        claim_as(service.url, "first")
    else:
        worker = start_worker(service.url)
        wait_until(lambda: client.get(job_id).iteration)
        [trainer] = find_trainers(service.home)
        worker.send(signal.SIGSTOP)
    claim = wait_until(lambda: claim_as(service.url, "second"), 0.1)
    assert (claim.job_id, claim.attempt) == (job_id, 2)
    with hold(service.url, claim):
        before = client.get(job_id)
        if not tampering:
            worker.send(signal.SIGCONT)
            wait_until(lambda: not find_trainers(service.home))
        taken = count_stale_writes_taken(service.url, job_id, count)
        if tampering:
            assert taken > 0
            return
        after = client.get(job_id)
        assert (taken, after.iteration, after.attempt) == (0, before.iteration, 2)
        assert after.state == "running"
    say(
        "worker stopped (SIGSTOP) past its lease, then woken",
        f"1, with {count} stale writes",
        "its trainer is stopped; every stale heartbeat, batch and finish is refused. Control: fence off",
        f"{count - taken} of {count} refused (trainer {trainer} gone); without the fence some are taken",
    )


@pytest.mark.parametrize("tampering", [(), ("off:grace",)], ids=["grace", "control"])
def test_a_service_that_was_down_past_the_lease_reaps_nobody_who_is_alive(
    start_service, connect, say, tampering
) -> None:
    times, holders = long_or_short(5, 1), 5
    service = start_service(*tampering, "quick", lease_seconds=4, attempts_allowed=100)
    client: Client = connect(service.url)
    for _ in range(holders):
        client.submit(FOREVER)
    with ExitStack() as stack:
        claims = [claim_as(service.url, f"worker {index}") for index in range(holders)]
        for claim in claims:
            stack.enter_context(hold(service.url, claim))
        for _ in range(times):
            service.kill()
            time.sleep(5)
            service.start(*tampering, "quick")
            # By the clock on the wall the reaper acts at once; after its own wait, when a lease has passed.
            time.sleep(0.5 if tampering else 5)
        states = {client.get(claim.job_id).state for claim in claims}
        if tampering:
            assert "queued" in states
            return
        assert states == {"running"}
    say(
        "service down past the lease",
        times,
        f"{holders} live attempts keep their jobs. Control: leases end by the clock on the wall",
        "none reaped; by the clock some are",
    )
