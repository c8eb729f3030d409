"""Writes of findings: reports as they come, back to a checkpoint, and copies for a retry."""

from typing import Any, Literal

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.orm import Session

from api.errors import RequestInvalid
from api.server.database.clock import database_now
from api.server.database.models import FindingReport, FindingRow
from ganlib.evaluation.diagnosis.verdict import SEVERITY_RANKS
from ganlib.events import FindingReported

# Of the JSON of the fields that a rollback changed.
MAX_CHANGES_BYTES = 16_384
Change = Literal["began", "worsened", "ended", "changed"]


def apply_report(session: Session, job_id: str, attempt: int, event: FindingReported) -> Change:
    """Store a report and return what it changed; it takes the place of an earlier one of its rule and `since`.

    The caller has locked the job's row. Raises RequestInvalid for changes that are too large.
    """
    _check_size(event)
    own = (FindingRow.job_id == job_id, FindingRow.rule == event.rule, FindingRow.since == event.since)
    columns = (FindingRow.id, FindingRow.ended, FindingRow.severity)
    earlier = session.execute(select(*columns).where(*own)).one_or_none()
    row: dict[str, Any] = {
        "job_id": job_id,
        "attempt": attempt,
        "rule": event.rule,
        "since": event.since,
        "iteration": event.iteration,
        "event": event.model_dump(mode="json"),
        "created_at": database_now(),
    }
    report_id: int = session.execute(insert(FindingReport).values(row).returning(FindingReport.id)).scalar_one()
    values = _columns(report_id, attempt, row["event"])
    if earlier is None:
        session.execute(
            insert(FindingRow).values(
                job_id=job_id, rule=event.rule, since=event.since, created_at=database_now(), **values
            )
        )
        return "began" if event.ended is None else "ended"
    session.execute(update(FindingRow).where(FindingRow.id == earlier.id).values(values))
    return _compare(earlier.ended, earlier.severity, event)


def discard_reports(session: Session, job_id: str, iteration: int) -> None:
    """Remove reports after this iteration (−1: all); a finding is again what its newest report before says."""
    later = (FindingReport.job_id == job_id, FindingReport.iteration > iteration)
    if not session.scalars(delete(FindingReport).where(*later).returning(FindingReport.id)).all():
        return
    _show_newest(session, job_id)


def copy_reports(session: Session, source_id: str, job_id: str, iteration: int) -> None:
    """Copy a job's reports up to this iteration to a new job; attempt 0 marks them as copies."""
    kept = (FindingReport.job_id == source_id, FindingReport.iteration <= iteration)
    for report in session.scalars(select(FindingReport).where(*kept).order_by(FindingReport.id)).all():
        row = {
            "job_id": job_id,
            "attempt": 0,
            **{name: getattr(report, name) for name in ("rule", "since", "iteration", "event", "created_at")},
        }
        report_id = session.execute(insert(FindingReport).values(row).returning(FindingReport.id)).scalar_one()
        _show(session, job_id, report, report_id)


def _show_newest(session: Session, job_id: str) -> None:
    """Let each finding whose report is gone show its newest one again; one without any was never found."""
    reports = select(FindingReport.id).where(FindingReport.job_id == job_id)
    stale = select(FindingRow).where(FindingRow.job_id == job_id, FindingRow.report_id.not_in(reports))
    for finding in session.scalars(stale).all():
        same = (FindingReport.rule == finding.rule, FindingReport.since == finding.since)
        query = select(FindingReport).where(FindingReport.job_id == job_id, *same)
        newest = session.scalars(query.order_by(FindingReport.id.desc()).limit(1)).one_or_none()
        own = FindingRow.id == finding.id
        if newest is None:
            session.execute(delete(FindingRow).where(own))
        else:
            values = _columns(newest.id, newest.attempt, newest.event)
            session.execute(update(FindingRow).where(own).values(values | {"updated_at": newest.created_at}))


def _show(session: Session, job_id: str, report: FindingReport, report_id: int) -> None:
    own = (FindingRow.job_id == job_id, FindingRow.rule == report.rule, FindingRow.since == report.since)
    values = _columns(report_id, 0, report.event) | {"updated_at": report.created_at}
    if session.scalar(select(literal(1)).where(*own)) is None:
        named = {"job_id": job_id, "rule": report.rule, "since": report.since}
        session.execute(insert(FindingRow).values(**named, **values, created_at=report.created_at))
    else:
        session.execute(update(FindingRow).where(*own).values(values))


def _columns(report_id: int, attempt: int, event: dict[str, Any]) -> dict[str, Any]:
    names = ("iteration", "ended", "severity", "text", "evidence", "action", "rolled_back_to", "changes")
    shown = {name: event[name] for name in names}
    return {"report_id": report_id, "attempt": attempt, "updated_at": database_now(), **shown}


def _compare(ended: int | None, severity: str, event: FindingReported) -> Change:
    if (ended is None) != (event.ended is None):
        return "began" if event.ended is None else "ended"
    return "worsened" if SEVERITY_RANKS[event.severity] > SEVERITY_RANKS[severity] else "changed"


def _check_size(event: FindingReported) -> None:
    size = len(event.model_dump_json(include={"changes"}))
    if size > MAX_CHANGES_BYTES:
        message = f"the changes of a finding take {size:,} bytes; send at most {MAX_CHANGES_BYTES:,}"
        raise RequestInvalid(message, problems=[{"field": "events", "given": f"{size} bytes", "message": message}])
