"""Claims that a test holds in a worker's place."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.attempts.schemas import ClaimRead, ClaimRequest
from api.client.client import WorkerClient
from worker.attempt.lease import Lease
from worker.attempt.run_dir import RunDir


def claim_as(url: str, name: str) -> Any:
    with WorkerClient(url) as client:
        return client.claim_job(ClaimRequest(worker=name))


@contextmanager
def hold(url: str, claim: ClaimRead) -> Iterator[None]:
    """Keep a claim alive as a worker does."""
    run_dir = RunDir(Path(), claim.job_id, claim.attempt)
    with WorkerClient(url, claim.token) as client, Lease(client, run_dir, claim.lease_seconds):
        yield
