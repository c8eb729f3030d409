"""Which worker may take which job, and in which order; on both databases."""

import pytest
from sqlalchemy.orm import Session

from api.attempts import claims
from api.attempts.schemas import ClaimRequest
from api.jobs import edits
from api.jobs import queries as job_queries
from api.server.database.engine import Database
from ganlib.errors import SpecInvalid
from ganlib.spec.parse import parse_spec
from tests.support.services import LEASE, add_job, make_spec

GIB = 1_073_741_824


def take(session: Session, **offer: object) -> str | None:
    request = ClaimRequest.model_validate({"worker": "w", "devices": ["cpu", "cuda"], **offer})
    claimed = claims.claim_job(session, request, LEASE, lambda _: True)
    return claimed.job.name if claimed else None


def test_a_higher_priority_goes_first_and_then_the_older(database: Database) -> None:
    with database.write() as session:
        for name, priority in (("low", -5), ("old", 0), ("young", 0), ("high", 7)):
            add_job(session, name=name, queue={"priority": priority})
        assert [take(session) for _ in range(5)] == ["high", "old", "young", "low", None]


def test_a_job_waits_for_a_card_that_is_large_enough(database: Database) -> None:
    with database.write() as session:
        add_job(session, name="large", queue={"gpu_memory_gib": 40})
        assert take(session) is None
        assert take(session, gpu_memory=40 * GIB - 1) is None
        assert take(session, gpu_memory=40 * GIB) == "large"


@pytest.mark.parametrize(
    ("labels", "is_taken"),
    [([], False), (["a100"], False), (["lab-2", "a100"], True), (["a100", "lab-2", "x"], True)],
)
def test_a_job_waits_for_a_worker_with_all_its_labels(
    database: Database, labels: list[str], is_taken: bool
) -> None:
    with database.write() as session:
        add_job(session, name="picky", queue={"worker_labels": ["a100", "lab-2"]})
        assert (take(session, labels=labels) == "picky") is is_taken


def test_a_worker_with_labels_takes_jobs_that_ask_for_none(database: Database) -> None:
    with database.write() as session:
        add_job(session, name="any")
        assert take(session, labels=["a100"]) == "any"


def test_a_job_that_nobody_can_take_holds_up_nobody(database: Database) -> None:
    with database.write() as session:
        add_job(session, name="picky", queue={"priority": 100, "worker_labels": ["none-has-this"]})
        add_job(session, name="modest")
        assert take(session) == "modest"


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        ({"priority": 101}, "at most 100"),
        ({"worker_labels": ["has space"]}, "worker_labels.0"),
        ({"worker_labels": list("abcdefghi")}, "at most 8"),
        ({"gpu_memory_gib": 0}, "more than 0"),
    ],
)
def test_what_cannot_be_asked_is_named(queue: dict[str, object], words: str) -> None:
    with pytest.raises(SpecInvalid, match=words):
        parse_spec(make_spec(queue=queue))


def test_a_cpu_job_asks_for_no_card() -> None:
    with pytest.raises(SpecInvalid, match="leave one of the two out"):
        parse_spec(make_spec(device="cpu", queue={"gpu_memory_gib": 8}))


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def runs(commit: str = COMMIT, **changes: object) -> dict[str, object]:
    return {"provenance": {"commit": commit, **changes}}


@pytest.mark.parametrize("digits", [COMMIT[:7], COMMIT, COMMIT[:9].upper()])
def test_a_pinned_job_waits_for_a_worker_that_runs_its_commit(database: Database, digits: str) -> None:
    with database.write() as session:
        add_job(session, name="pinned", queue={"commit": digits})
        assert take(session) is None
        assert take(session, **runs("f" + COMMIT[1:])) is None
        assert take(session, **runs(COMMIT[:6] + "f" * 34)) is None
        assert take(session, **runs()) == "pinned"


@pytest.mark.parametrize(
    ("changes", "is_taken"),
    [
        ({"dirty": True}, False),
        ({"dirty": True, "uncommitted_diff": "+x"}, False),
        # A worker of a version that does not say so has a diff to show.
        ({"uncommitted_diff": "+x"}, False),
        # Files that git does not track are no change of the commit.
        ({"dirty": False, "uncommitted_diff": "# untracked: notes.txt\n"}, True),
    ],
)
def test_a_worker_with_uncommitted_changes_does_not_run_that_commit(
    database: Database, changes: dict[str, object], is_taken: bool
) -> None:
    with database.write() as session:
        add_job(session, name="pinned", queue={"commit": COMMIT[:7]})
        add_job(session, name="any")
        assert take(session, **runs(**changes)) == ("pinned" if is_taken else "any")


def test_a_job_that_is_not_pinned_goes_to_any_worker(database: Database) -> None:
    with database.write() as session:
        for number in range(3):
            add_job(session, name=f"any-{number}")
        assert [take(session), take(session, **runs()), take(session, **runs(dirty=True))] == [
            "any-0",
            "any-1",
            "any-2",
        ]


def test_a_job_on_several_cards_waits_for_a_worker_that_has_them(database: Database) -> None:
    with database.write() as session:
        add_job(session, name="two", queue={"gpus": 2, "gpu_memory_gib": 40})
        assert take(session, gpus=1, gpu_memory=80 * GIB, gpu_memory_each=80 * GIB) is None
        # One large card beside a small one is not two large ones.
        assert take(session, gpus=2, gpu_memory=80 * GIB, gpu_memory_each=24 * GIB) is None
        assert take(session, gpus=2, gpu_memory=80 * GIB, gpu_memory_each=40 * GIB) == "two"


def test_a_retried_job_stays_pinned(database: Database) -> None:
    with database.write() as session:
        job = add_job(session, name="pinned", queue={"commit": COMMIT[:7]})
        job_queries.cancel_job(session, job.id)
        edits.retry_job(session, job.id, 5, None)
        assert take(session) is None
        assert take(session, **runs()) == "pinned"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"queue": {"commit": "0123456"[:6]}}, "first 7 to 40 digits"),
        ({"queue": {"commit": "trunk-1"}}, "first 7 to 40 digits"),
        ({"queue": {"gpus": 0}}, "at least 1"),
        ({"queue": {"gpus": 2}, "device": "cpu"}, "leave one of the two out"),
        ({"queue": {"gpus": 3}}, "64 cannot be divided evenly among 3 processes"),
        ({"queue": {"gpus": 2}, "speed": {"compile": True}}, "work in one process alone"),
    ],
)
def test_a_pin_or_a_number_of_cards_that_cannot_be_is_named(spec: dict[str, object], words: str) -> None:
    with pytest.raises(SpecInvalid, match=words):
        parse_spec(make_spec(**spec))


def test_one_card_may_record_its_step() -> None:
    assert parse_spec(make_spec(queue={"gpus": 1}, speed={"compile": True})).queue.gpus == 1
