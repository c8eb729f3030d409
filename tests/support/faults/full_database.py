"""Events for a service whose database has no room, and questions that it answers all the same."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from api.attempts.schemas import FinishPost
from api.client.client import Client, WorkerClient
from api.errors import ServiceError
from tests.faults.conftest import SPEC, encode_post
from tests.support.faults.holding import claim_as, hold
from tests.support.faults.machines import get, wait_until
from tests.support.services import make_line, make_metrics

POINTS = 20


def make_body(first: int) -> bytes:
    """Twenty points and a long line, numbered from `first`."""
    points = [make_metrics(first + index, loss_generator=0.5) for index in range(POINTS)]
    return encode_post([*points, make_line(first + POINTS - 1, "x" * 4000)], first * (POINTS + 1) // POINTS)


def find_refusal(worker: WorkerClient, job_id: str, body: bytes) -> str:
    """Post events and return status and code of the refusal; nothing if they were taken."""
    try:
        worker.post_events(job_id, 1, body)
    except ServiceError as error:
        return f"{error.status} {error.code}"
    return ""


def read_everything(url: str, job_id: str) -> None:
    """Fail unless all that shows the job is answered."""
    for path in ("/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}/metrics", f"/jobs/{job_id}/log", "/healthz"):
        assert get(url + path, timeout=30).status_code == 200, path


def post_into_a_full_disk(
    client: Client,
    filled: AbstractContextManager[None],
    times: int,
    lease_seconds: float,
    while_full: Callable[[str], None],
) -> tuple[str, int, list[str]]:
    """Post until so many posts were refused, stay silent past the lease, go on when there is room, and finish.

    while_full: called after each refusal with the job's id. Returns that id, how many points were taken, and the
    refusals.
    """
    job_id = client.submit({**SPEC, "iterations": 1_000_000}).id
    claim = claim_as(client.url, "test")
    taken, refused = 0, list[str]()
    with WorkerClient(client.url, claim.token) as worker, hold(client.url, claim):
        with filled:
            while len(refused) < times:
                if refusal := find_refusal(worker, job_id, make_body(taken)):
                    refused.append(refusal)
                    while_full(job_id)
                else:
                    taken += POINTS
            # Nobody can renew the lease now, and when it is over nobody is blamed for that.
            ends_at = time.monotonic() + 1.5 * lease_seconds
            wait_until(lambda: time.monotonic() > ends_at)
        for _ in range(20):
            wait_until(lambda first=taken: not find_refusal(worker, job_id, make_body(first)), 0.5)
            taken += POINTS
        worker.finish(job_id, 1, FinishPost(end="succeeded", events_count=taken * (POINTS + 1) // POINTS))
    return job_id, taken, refused
