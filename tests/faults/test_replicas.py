"""Two services on one PostgreSQL and one folder of files, as replicas run: each may die, neither takes twice."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.conftest import SEED, SPEC, StartService, long_or_short
from tests.support.faults.holding import claim_as, hold
from tests.support.faults.machines import Service, get, wait_until
from tests.support.faults.postgres import run_postgres
from tests.support.faults.posting import check_nothing_lost_or_doubled, disturb, posting

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def start_replicas(start_service: StartService, tmp_path: Path) -> Iterator[Any]:
    """Start two services on one database and one folder of files."""
    with ExitStack() as stack:

        def start(*tampering: str, **settings: object) -> list[Service]:
            database_url = stack.enter_context(run_postgres()).url
            files = tmp_path / "files"
            files.mkdir()
            replicas = []
            for name in ("first", "second"):
                (tmp_path / name).mkdir()
                (tmp_path / name / "blobs").symlink_to(files)
                replicas.append(start_service(*tampering, folder=name, database_url=database_url, **settings))
                stack.callback(replicas[-1].kill)
            return replicas

        yield start


def test_replicas_that_are_killed_in_turn_lose_and_double_nothing(
    start_replicas, open_wire, connect, tmp_path, say
) -> None:
    times = long_or_short(100, 6)
    replicas = start_replicas(lease_seconds=30)
    wire = open_wire(*(replica.port for replica in replicas))
    turns = itertools.cycle(replicas)

    def strike() -> None:
        replica = next(turns)
        replica.kill()
        # The other one has it all meanwhile.
        wait_until(lambda written=posted.written: posted.written > written + 20)
        replica.start()

    with posting(wire.url, tmp_path / "attempts") as posted:
        disturb(posted, times, strike)
    for replica in replicas:
        check_nothing_lost_or_doubled(connect(replica.url), posted)
    say(
        "two services on one PostgreSQL, killed in turn while a worker posts",
        times,
        "the other goes on; every point, line and grid once, in order, with its bytes, from either",
        f"{posted.written:,} points, {posted.written:,} lines, {len(posted.grids)} grids; "
        f"{posted.broken} posts broke (seed {SEED})",
    )


@contextmanager
def following(url: str, job_id: str) -> Iterator[list[int]]:
    """Follow a job's stream; gives the iterations of the points that have come so far."""
    seen: list[int] = []
    opened, ended = threading.Event(), threading.Event()

    def follow() -> None:
        with httpx.stream("GET", f"{url}/jobs/{job_id}/events", timeout=60) as answer:
            opened.set()
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    events = json.loads(line.removeprefix("data: "))["events"]
                    seen.extend(event["iteration"] for event in events if event["kind"] == "metrics_logged")
                if ended.is_set():
                    return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join(60)


def test_the_stream_of_one_replica_shows_what_was_posted_to_the_other(start_replicas, tmp_path, say) -> None:
    first, second = start_replicas(lease_seconds=30, stream_keepalive_seconds=0.2)
    wanted = long_or_short(5000, 200)
    with posting(first.url, tmp_path / "attempts") as posted, following(second.url, posted.job_id) as seen:
        wait_until(lambda: len(seen) >= wanted)
    assert seen == list(range(1, len(seen) + 1))
    say(
        "posts to one of two services, streams from the other",
        f"{len(seen):,} points",
        "the stream brings each once, in order, while they are posted",
        f"{len(seen):,} points in order",
    )


def test_two_reapers_take_each_silent_attempt_once_and_no_other(start_replicas, connect, say) -> None:
    silent, held = long_or_short(200, 20), 3
    first, second = start_replicas("quick", lease_seconds=8, reap_every_seconds=0.01, attempts_allowed=100)
    client = connect(first.url)
    for _ in range(silent + held):
        client.submit(SPEC)
    turns = itertools.cycle((first.url, second.url))
    with ExitStack() as stack:
        kept = []
        for url, other in ((first.url, second.url), (second.url, first.url), (first.url, first.url)):
            kept.append(claim_as(url, "alive"))
            stack.enter_context(hold(other, kept[-1]))
        # On a slow machine the first one is lost, and claimed again, before the last one is claimed.
        lost = {
            wait_until(lambda url=url: claim_as(url, "silent")).job_id
            for url, _ in zip(turns, range(silent), strict=False)
        }
        wait_until(lambda: all(client.get(job_id).state == "queued" for job_id in lost), 0.2)
        assert [client.get(claim.job_id).state for claim in kept] == ["running"] * held
    jobs = [client.get(job_id) for job_id in lost]
    assert sum(len(job.attempts) for job in jobs) == silent
    for job in jobs:
        assert [attempt.end for attempt in job.attempts] == ["lost"] * job.attempt
        lines = get(f"{second.url}/jobs/{job.id}/log", params={"tail": 100}, timeout=60).json()["items"]
        assert sum("was lost" in line["text"] for line in lines) == job.attempt
    say(
        "two services look for silent attempts at once",
        f"{silent} silent, {held} alive",
        "each silent one is taken once, by either; none that is heard by either",
        f"{silent} attempts with one end each, their jobs queued again; {held} go on",
    )
