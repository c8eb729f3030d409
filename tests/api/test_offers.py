"""Which worker may take which job, and in which order; on both databases."""

import pytest
from sqlalchemy.orm import Session

from api import queries
from api.db import Database
from api.schemas import ClaimRequest
from ganlib.errors import SpecInvalid
from ganlib.spec import parse_spec
from tests.api.service_making import LEASE, add_job, make_spec

GIB = 1_073_741_824


def take(session: Session, **offer: object) -> str | None:
    request = ClaimRequest.model_validate({"worker": "w", "devices": ["cpu", "cuda"], **offer})
    claimed = queries.claim_job(session, request, LEASE, lambda _: True)
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
