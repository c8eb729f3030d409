"""A worker's reporter that posts all the time, and what must be recorded of it afterwards."""

import hashlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.attempts.schemas import ClaimRequest, FinishPost
from api.client.client import Client, WorkerClient
from api.client.transport import ServiceUnreachable
from ganlib.events import LineLogged, MetricsLogged, SampleGridSaved, StoredFile
from tests.faults.conftest import SEED, SPEC
from tests.support.faults.machines import get, wait_until
from tests.support.services import make_png
from worker.attempt.lease import Lease
from worker.attempt.reporter import Reporter
from worker.attempt.run_dir import open_run_dir
from worker.spool.spool import SpoolWriter

GRID_EVERY = 25


@dataclass
class Posting:
    """A claimed job whose events a reporter delivers while `write` writes more of them."""

    job_id: str
    in_flight: threading.Event = field(default_factory=threading.Event)
    broken: int = 0
    written: int = 0
    grids: list[tuple[int, str]] = field(default_factory=list)


@contextmanager
def posting(url: str, home: Path, *, loses_answers: bool = False) -> Iterator[Posting]:
    """Submit, claim, and deliver from a spool that grows until the block ends; then finish.

    loses_answers: every second answer to a post does not arrive.
    """
    with Client(url) as client:
        job_id = client.submit({**SPEC, "iterations": 1_000_000}).id
    with WorkerClient(url) as anyone:
        claim = anyone.claim_job(ClaimRequest(worker="reporter"))
    assert claim is not None
    posted, ended = Posting(job_id), threading.Event()
    with (
        WorkerClient(url, claim.token) as client,
        open_run_dir(home, job_id, 1, claim.spec, claim.token) as run_dir,
        Lease(client, run_dir, claim.lease_seconds) as lease,
    ):
        watch_posts(client, posted, loses_answers)
        spool = SpoolWriter(run_dir.spool_path)
        writer = threading.Thread(target=write, args=(spool, run_dir.artifacts_dir, posted, ended))
        reporter = Reporter(client, run_dir, lease)
        reporter.start()
        writer.start()
        try:
            yield posted
        finally:
            ended.set()
            writer.join()
        reporter.mark_spool_complete()
        wait_until(lambda: not reporter.is_running)
        assert reporter.failure is None
        spool.close()
        client.finish(job_id, 1, FinishPost(end="succeeded", events_count=reporter.delivered_count))


def watch_posts(client: WorkerClient, posted: Posting, loses_answers: bool) -> None:
    """Let the test know when a post is under way, and count those that broke."""
    send, turns = client.post_events, itertools.count()

    def post_events(*arguments: Any) -> Any:
        posted.in_flight.set()
        try:
            answer = send(*arguments)
            if loses_answers and next(turns) % 2 == 0:
                raise ServiceUnreachable(client.url, "its answer was lost")
            return answer
        except ServiceUnreachable:
            posted.broken += 1
            raise
        finally:
            posted.in_flight.clear()

    client.post_events = post_events  # type: ignore[method-assign]


def write(spool: SpoolWriter, folder: Path, posted: Posting, ended: threading.Event) -> None:
    """Write a point and a line for each iteration, and now and then a grid, at some 200 iterations a second."""
    while not ended.wait(0.005):
        posted.written = iteration = posted.written + 1
        spool.append(MetricsLogged(iteration=iteration, values={"loss/generator": iteration / 8}))
        spool.append(LineLogged(iteration=iteration, text=f"line {iteration}"))
        if iteration % GRID_EVERY == 0:
            content = make_png(iteration % 199 + 1, iteration // 199 + 1)
            sha256 = hashlib.sha256(content).hexdigest()
            (folder / f"{iteration}.png").write_bytes(content)
            file = StoredFile(path=f"{iteration}.png", sha256=sha256, size=len(content))
            size = {"rows": 1, "columns": 1, "cell_width": 8, "cell_height": 8}
            spool.append(SampleGridSaved(iteration=iteration, file=file, latents_sha256="a" * 64, **size))
            posted.grids.append((iteration, sha256))


def check_nothing_lost_or_doubled(client: Client, posted: Posting) -> None:
    curve = client.curves(posted.job_id)["loss/generator"]
    wanted = list(range(1, posted.written + 1))
    assert curve.iterations == wanted
    assert curve.values == [iteration / 8 for iteration in wanted]
    assert read_lines(client, posted.job_id) == [f"line {iteration}" for iteration in wanted]
    assert [(sample.iteration, sample.sha256) for sample in client.samples(posted.job_id)] == posted.grids
    for _, sha256 in posted.grids[:: max(1, len(posted.grids) // 20)]:
        content = get(f"{client.url}/artifacts/{sha256}").content
        assert hashlib.sha256(content).hexdigest() == sha256


def read_lines(client: Client, job_id: str) -> list[str]:
    """Read all that the trainer said, oldest first."""
    lines: list[str] = []
    query: dict[str, Any] = {"tail": 5000}
    while True:
        page = get(f"{client.url}/jobs/{job_id}/log", params=query).json()
        lines = [item["text"] for item in page["items"]] + lines
        if page["next"] is None:
            return [line for line in lines if line.startswith("line ")]
        query["cursor"] = page["next"]


def disturb(posted: Posting, times: int, strike: Callable[[], None]) -> None:
    """Strike at random moments after a post has begun."""
    random_state = random.Random(SEED)
    for _ in range(times):
        posted.in_flight.wait(60)
        time.sleep(random_state.uniform(0, 0.02))
        strike()
