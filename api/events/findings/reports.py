"""Writes of findings: reports as they come, back to a checkpoint, and copies for a retry."""

from collections.abc import Iterator
from typing import Any, Literal

from sqlalchemy import delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from api.errors import RequestInvalid
from api.server.database.clock import database_now
from api.server.database.models import FindingReport, FindingRow
from ganlib.evaluation.diagnosis.verdict import SEVERITY_RANKS
from ganlib.events import FindingReported

# Of the JSON of the fields that a rollback changed.
MAX_CHANGES_BYTES = 16_384
_IDS_PER_STATEMENT = 500
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
    if session.connection().execute(delete(FindingReport).where(*later)).rowcount:
        _show_newest(session, job_id)


def copy_reports(session: Session, source_id: str, job_id: str, iteration: int) -> None:
    """Copy a job's reports up to this iteration to a new job; attempt 0 marks them as copies."""
    names = ("rule", "since", "iteration", "event", "created_at")
    columns = [getattr(FindingReport, name) for name in names]
    kept = (FindingReport.job_id == source_id, FindingReport.iteration <= iteration)
    copies = select(literal(job_id), literal(0), *columns).where(*kept).order_by(FindingReport.id)
    session.execute(insert(FindingReport).from_select(["job_id", "attempt", *names], copies))
    _show_newest(session, job_id)


def _show_newest(session: Session, job_id: str) -> None:
    """Let each finding be what the newest of its reports says; one without any was never found.

    A worker reports as many as it likes, and other writers may be waiting: many rows are changed by one statement.
    """
    names = (FindingReport.rule, FindingReport.since)
    query = select(*names, func.max(FindingReport.id), func.min(FindingReport.created_at))
    grouped = session.execute(query.where(FindingReport.job_id == job_id).group_by(*names))
    newest = {(rule, since): (report_id, began_at) for rule, since, report_id, began_at in grouped}
    columns = (FindingRow.id, FindingRow.rule, FindingRow.since, FindingRow.report_id)
    rows = session.execute(select(*columns).where(FindingRow.job_id == job_id)).all()
    shown = {(row.rule, row.since): row for row in rows}
    for ids in _batched([row.id for row in rows if (row.rule, row.since) not in newest]):
        session.connection().execute(delete(FindingRow).where(FindingRow.id.in_(ids)))
    stale = {report_id for report_id, _ in newest.values()} - {row.report_id for row in rows}
    for ids in _batched(sorted(stale)):
        changed, added = [], []
        for report in session.scalars(select(FindingReport).where(FindingReport.id.in_(ids))):
            key = (report.rule, report.since)
            values = _columns(report.id, report.attempt, report.event) | {"updated_at": report.created_at}
            if key in shown:
                changed.append({"id": shown[key].id, **values})
            else:
                named = {"job_id": job_id, "rule": report.rule, "since": report.since}
                added.append({**named, **values, "created_at": newest[key][1]})
        if changed:
            session.execute(update(FindingRow), changed)
        if added:
            session.execute(insert(FindingRow), added)


def _batched(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _IDS_PER_STATEMENT):
        yield ids[start : start + _IDS_PER_STATEMENT]


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
