"""Reports of findings: the newest one counts, and after a lost attempt the newest one before the checkpoint."""

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from api.attempts import claims
from api.errors import RequestInvalid
from api.events import log
from api.events.findings import queries
from api.jobs import edits
from api.server.database.clock import database_now
from api.server.database.engine import Database
from api.server.database.models import FindingReport, FindingRow, Job
from tests.support.services import (
    COLLAPSED,
    add_claimed_job,
    claim,
    finish,
    kinds,
    make_checkpoint,
    make_finding,
    make_signals,
    post,
    reap,
)


def shown(session: Session, job_id: str) -> list[tuple[str, int, int | None, str]]:
    return [
        (each.rule, each.since, each.ended, each.severity) for each in queries.list_job_findings(session, job_id)
    ]


def test_a_later_report_of_the_same_fault_takes_the_place_of_the_earlier_one(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_finding(100, severity="warning"), make_finding(200, 100, text="Collapsed: all")])
        post(session, job, [make_finding(300, 100, ended=260), make_finding(400)], first=2)
    with database.read() as session:
        assert shown(session, job.id) == [
            ("mode_collapse", 400, None, "serious"),
            ("mode_collapse", 100, 260, "serious"),
        ]
        lasting, ended = queries.list_job_findings(session, job.id)
    assert lasting.evidence == {"signals/kinds": 1.0, "signals/diversity": 0.01}
    assert (ended.text, ended.iteration, ended.attempt) == (COLLAPSED, 300, 1)
    assert ended.created_at <= ended.updated_at
    assert ended.description == "Collapsed from iteration 100 to 260: 64 cells, 1 kind"


def test_a_batch_that_is_sent_again_reports_nothing_twice(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        for _ in range(2):
            post(session, job, [make_finding(100)])
        assert len(session.scalars(select(FindingReport)).all()) == 1


def test_numbers_that_are_not_finite_are_kept(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(
            session,
            job,
            [make_finding(1, evidence={"signals/kinds": float("nan"), "loss/generator": float("inf")})],
        )
    with database.read() as session:
        (finding,) = queries.list_job_findings(session, job.id)
    assert finding.evidence["loss/generator"] == float("inf")
    assert finding.evidence["signals/kinds"] != finding.evidence["signals/kinds"]


def test_changes_that_nobody_could_read_are_refused(database: Database) -> None:
    large = {"techniques": ["x" * 1000] * 20}
    with pytest.raises(RequestInvalid, match="at most 16,384"), database.write() as session:
        post(session, add_claimed_job(session), [make_finding(1, changes=large)])


def resume_after_loss(database: Database) -> list[tuple[str, int, int | None, str]]:
    """A finding before the checkpoint that got worse and ended after it, and one that began after it."""
    with database.write() as session:
        job = add_claimed_job(session)
        before = [make_finding(100, severity="warning"), make_checkpoint(session, 200, b"weights")]
        after = [make_finding(250, 100), make_finding(300, 100, ended=280), make_finding(300, rule="checkerboard")]
        post(session, job, [*before, *after])
        assert shown(session, job.id)[0][:3] == ("checkerboard", 300, None)
        reap(session, job.id)
        session.execute(update(Job).values(not_before=database_now(-1)))
        claimed = claim(session)
        assert claimed is not None
        assert claimed.resume is not None
        return shown(session, job.id)


def test_what_was_found_after_the_checkpoint_is_gone_and_what_had_ended_is_open_again(database: Database) -> None:
    assert resume_after_loss(database) == [("mode_collapse", 100, None, "warning")]


def test_control_without_going_back_findings_of_the_lost_attempt_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "discard_reports", lambda *_: None)
    assert len(resume_after_loss(database)) == 2


def test_a_job_that_begins_anew_has_no_findings(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_finding(0), make_finding(100)])
        reap(session, job.id)
        session.execute(update(Job).values(not_before=database_now(-1)))
        claim(session)
        assert shown(session, job.id) == []
        assert session.scalars(select(FindingRow)).all() == []


def test_a_retry_takes_along_what_was_found_up_to_its_checkpoint(database: Database) -> None:
    class Blobs:
        def exists(self, _: str) -> bool:
            return True

    with database.write() as session:
        job = add_claimed_job(session)
        post(
            session,
            job,
            [make_finding(100), make_checkpoint(session, 200, b"w"), make_finding(300, 100, ended=290)],
        )
        finish(session, job, "failed", count=3, code="out_of_memory")
        again, _ = edits.retry_job(session, job.id, 5, Blobs())  # type: ignore[arg-type]
        assert shown(session, again.id) == [("mode_collapse", 100, None, "serious")]
        assert shown(session, job.id) == [("mode_collapse", 100, 290, "serious")]


def test_a_purged_job_takes_its_findings_along(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_finding(100)])
        finish(session, job, "succeeded", count=1)
        edits.delete_job(session, job.id)
        edits.purge_job(session, job.id, 0)
        assert session.scalars(select(FindingRow)).all() == session.scalars(select(FindingReport)).all() == []


def test_streams_carry_findings(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_signals(100), make_finding(100)])
        assert kinds(session, job)[-2:] == ["metrics_logged", "finding_reported"]
        (item, *_) = [item for batch in log.list_batches(session, job.id, 0, 9) for item in batch.events][-1:]
    assert (item["event"]["rule"], item["event"]["since"]) == ("mode_collapse", 100)
