"""A stream far behind: it gets everything, in parts that are bounded by bytes however large the batches were."""

from typing import Any

import pytest

from api.events import feed, log
from api.server.database.engine import Database
from api.server.database.models import Job
from tests.support.services import add_claimed_job, make_line, post

OWN, COUNT = 2, 6


def add_job_with_batches(database: Database, lines: int) -> Job:
    """A job with two batches of the service's own and six of log lines, 4 kB each."""
    with database.write() as session:
        job = add_claimed_job(session)
        for index in range(COUNT):
            post(session, job, [make_line(index, "x" * 4000)] * lines, first=index * lines, attempt=1)
        return job


def read_parts(database: Database, job: Job) -> list[list[bytes]]:
    """Read as a stream does, from the beginning to the end."""
    parts: list[list[bytes]] = []
    messages, after = feed.read_job_messages(database, job.id, 0)
    while messages:
        parts.append(messages)
        messages, after = feed.read_job_messages(database, job.id, after)
    return parts


def list_ids(parts: list[list[bytes]]) -> list[int]:
    return [int(message.split(b"\n", 1)[0].removeprefix(b"id: ")) for part in parts for message in part]


def test_small_batches_come_together(database: Database) -> None:
    parts = read_parts(database, add_job_with_batches(database, 1))
    assert [len(part) for part in parts] == [feed._BATCHES_AT_ONCE] == [OWN + COUNT]


@pytest.mark.parametrize("bound", [feed._BYTES_AT_ONCE, 10**9], ids=["bytes", "control"])
def test_large_batches_come_in_parts_of_bounded_bytes(
    database: Database, monkeypatch: pytest.MonkeyPatch, bound: int
) -> None:
    allowed = feed._BYTES_AT_ONCE
    monkeypatch.setattr(feed, "_BYTES_AT_ONCE", bound)
    parts = read_parts(database, add_job_with_batches(database, 25))
    ids = list_ids(parts)
    assert ids == list(range(ids[0], ids[0] + OWN + COUNT))
    one = max(len(message) for part in parts for message in part)
    held = max(sum(map(len, part)) for part in parts)
    assert (held <= allowed + one) == (bound == allowed)


def test_a_batch_larger_than_the_bound_comes_alone(sqlite: Database) -> None:
    parts = read_parts(sqlite, add_job_with_batches(sqlite, 100))
    assert [len(part) for part in parts] == [OWN + 1, *[1] * (COUNT - 1)]


def test_only_what_is_sent_is_unpacked(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    job = add_job_with_batches(sqlite, 100)
    unpack, unpacked = log.unpack_body, []

    def count(body: bytes) -> list[dict[str, Any]]:
        unpacked.append(body)
        return unpack(body)

    monkeypatch.setattr(log, "unpack_body", count)
    messages, _ = feed.read_job_messages(sqlite, job.id, 0)
    assert len(unpacked) == len(messages) == OWN + 1
