"""Reads of findings, and the verdict on runs: as an object, and as a condition of a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, not_, or_, select
from sqlalchemy.orm import Session

from api.errors import RequestInvalid
from api.events.findings.schemas import (
    MOST_OF_A_JOB,
    FindingListed,
    FindingRead,
    VerdictRead,
    VerdictTone,
    rule_meaning,
    rule_title,
)
from api.server.database.cursors import read_cursor, write_cursor
from api.server.database.models import FindingRow, Job, LatestValue
from api.server.http.schemas import TERMINAL_STATES, Page
from ganlib.errors import TrainingDiverged
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.evaluation.diagnosis.verdict import ALARMS, SEVERITY_RANKS, Standing, describe, judge
from ganlib.events import Severity
from ganlib.spec.documents.suggestions import find_near

SIGNALS = "signals/"


@dataclass(frozen=True)
class FindingFilters:
    """Filters of the list of findings, which must all match; `is_active`: only those that last, or that ended."""

    job_id: str | None = None
    rule: str | None = None
    severity: Severity | None = None
    is_active: bool | None = None


def check_rule(session: Session, field: str, name: str) -> None:
    """Raise RequestInvalid for a rule that found nothing anywhere and is nearly written like a known one."""
    near = find_near(name, RULES)
    if near and session.scalar(select(FindingRow.id).where(FindingRow.rule == name).limit(1)) is None:
        message = f"no rule {name} found anything; did you mean {near}?"
        problem = {"field": field, "given": name, "message": message}
        raise RequestInvalid(f"{message[:1].upper()}{message[1:]}", problems=[problem])


def list_findings(
    session: Session, filters: FindingFilters, limit: int = 50, cursor: str | None = None
) -> Page[FindingListed]:
    """Return one page of the findings of all jobs that are not deleted, the newest first.

    Raises RequestInvalid as `check_rule` does.
    """
    if filters.rule is not None:
        check_rule(session, "rule", filters.rule)
    query = select(FindingRow, Job.name).join(Job, Job.id == FindingRow.job_id).where(Job.deleted_at.is_(None))
    query = query.where(*_conditions(filters)).order_by(FindingRow.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(FindingRow.id < read_cursor(cursor, int)[0])
    rows = session.execute(query).all()
    items = [
        FindingListed(**dict(finding_read(row)), job_id=row.job_id, job_name=name, url=f"/runs/{row.job_id}")
        for row, name in rows[:limit]
    ]
    return Page(items=items, next=write_cursor(rows[limit - 1][0].id) if len(rows) > limit else None)


def list_job_findings(session: Session, job_id: str) -> list[FindingRead]:
    """Return a job's findings, at most `MOST_OF_A_JOB`: what lasts first, then the worst, then the newest."""
    order = (FindingRow.ended.is_not(None), _rank().desc(), FindingRow.since.desc(), FindingRow.id)
    query = select(FindingRow).where(FindingRow.job_id == job_id).order_by(*order).limit(MOST_OF_A_JOB)
    return [finding_read(row) for row in session.scalars(query)]


def read_findings(session: Session, job_ids: Sequence[str]) -> dict[str, list[Any]]:
    """Return the findings that decide the verdict on each of these jobs, with one query: at most two of a job.

    They are what `judge` would take of all: the worst that lasts, and of those that ended the worst that is but
    just over, or else the last. lasted: the iterations that its rule's ended findings lasted in all.
    """
    newest = _newest_of_rules(job_ids)
    lasts, row = newest.c.ended.is_(None), newest.c
    examined = select(LatestValue.job_id, func.max(LatestValue.iteration).label("iteration"))
    examined = examined.where(LatestValue.job_id.in_(job_ids), LatestValue.metric.startswith(SIGNALS))
    at = examined.group_by(LatestValue.job_id).subquery()
    is_recent = and_(row.is_alarm, at.c.iteration - row.ended < row.lasted)
    counts = or_(lasts, is_recent)
    places = {name: place for place, name in enumerate(RULES)}
    worst_first = (
        case((counts, case(SEVERITY_RANKS, value=row.severity)), else_=-1).desc(),
        case((counts, case(places, value=row.rule, else_=len(places)))),
        case((counts, row.since)),
    )
    order = (*worst_first, row.ended.desc(), row.id)
    number = func.row_number().over(partition_by=[row.job_id, lasts], order_by=order).label("place")
    numbered = select(newest, number).outerjoin(at, at.c.job_id == row.job_id).where(or_(lasts, row.number == 1))
    ordered = numbered.subquery()
    found: dict[str, list[Any]] = {}
    for each in session.execute(select(ordered).where(ordered.c.place == 1)):
        found.setdefault(each.job_id, []).append(each)
    return found


def judge_job(job: Job, findings: Sequence[Any], latest: Mapping[str, Any]) -> VerdictRead:
    """Return the verdict on a job. latest: its metrics' newest points by name, each with an `iteration`."""
    examined = [metric.iteration for name, metric in latest.items() if name.startswith(SIGNALS)]
    failure = (job.reason or {}).get("code", "") if job.state == "failed" else None
    standing = Standing(job.iteration, job.state in TERMINAL_STATES, failure)
    lasted = {row.rule: int(row.lasted) for row in findings if row.ended is not None}
    return VerdictRead.model_validate(judge(findings, max(examined, default=None), standing, lasted))


def count_lasting(session: Session) -> list[tuple[str, str, int]]:
    """Return (rule, severity, count) of the findings that last in running jobs."""
    count = func.count().label("findings")
    query = select(FindingRow.rule, FindingRow.severity, count).join(Job, Job.id == FindingRow.job_id)
    query = query.where(Job.state == "running", FindingRow.ended.is_(None))
    rows = session.execute(query.group_by(FindingRow.rule, FindingRow.severity).order_by(count.desc()))
    return [(row.rule, row.severity, row.findings) for row in rows]


def has_verdict(tone: VerdictTone) -> ColumnElement[bool]:
    """Return the condition that the verdict on a job has this tone, as `judge` decides it."""
    rank = _lasting_rank()
    diverged = and_(
        Job.state == "failed", func.coalesce(Job.reason["code"].as_string(), "") == TrainingDiverged.code
    )
    of_findings = {name: func.coalesce(rank, -1) == number for name, number in SEVERITY_RANKS.items()}
    if tone == "serious":
        return or_(of_findings["serious"], and_(rank.is_(None), diverged))
    is_examined = and_(rank.is_(None), _has_signals(), Job.state != "failed")
    if tone == "warning":
        return or_(of_findings["warning"], and_(is_examined, _has_recent()))
    if tone == "note":
        return of_findings["note"]
    if tone == "good":
        return and_(is_examined, not_(_has_recent()))
    return and_(rank.is_(None), not_(is_examined), not_(diverged))


def has_finding(rule: str) -> ColumnElement[bool]:
    """Return the condition that this rule found something in a job, whether or not it has ended."""
    return exists().where(FindingRow.job_id == Job.id, FindingRow.rule == rule).correlate(Job)


def finding_read(row: FindingRow) -> FindingRead:
    """Return the schema of a finding."""
    names = set(FindingRead.model_fields) - {"title", "meaning", "description"}
    return FindingRead(
        **{name: getattr(row, name) for name in names},
        title=rule_title(row.rule),
        meaning=rule_meaning(row.rule),
        description=describe(row),  # type: ignore[arg-type]  # the severity was checked when it came
    )


def _conditions(filters: FindingFilters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.job_id is not None:
        conditions.append(FindingRow.job_id == filters.job_id)
    if filters.rule is not None:
        conditions.append(FindingRow.rule == filters.rule)
    if filters.severity is not None:
        conditions.append(FindingRow.severity == filters.severity)
    if filters.is_active is not None:
        conditions.append(FindingRow.ended.is_(None) if filters.is_active else FindingRow.ended.is_not(None))
    return conditions


def _lasting_rank() -> Any:
    """Return the SQL of how bad the worst finding is that lasts in a job; NULL without any."""
    lasting = select(func.max(_rank())).where(FindingRow.job_id == Job.id, FindingRow.ended.is_(None))
    return lasting.correlate(Job).scalar_subquery()


def _rank() -> Any:
    """Return the SQL of how bad a finding is."""
    return case(SEVERITY_RANKS, value=FindingRow.severity)


def _newest_of_rules(job_ids: Sequence[str]) -> Any:
    """Return the SQL of jobs' findings: those of one rule that ended are numbered, the newest first."""
    is_alarm = FindingRow.severity.in_(ALARMS)
    parts = [FindingRow.job_id, FindingRow.rule, is_alarm, FindingRow.ended.is_(None)]
    newest_first = (FindingRow.ended.desc(), FindingRow.since.desc())
    number = func.row_number().over(partition_by=parts, order_by=newest_first).label("number")
    lasted = func.sum(FindingRow.ended - FindingRow.since).over(partition_by=parts).label("lasted")
    columns = (FindingRow.rule, FindingRow.since, FindingRow.ended, FindingRow.severity, FindingRow.text)
    query = select(FindingRow.id, FindingRow.job_id, *columns, is_alarm.label("is_alarm"), number, lasted)
    return query.where(FindingRow.job_id.in_(job_ids)).subquery()


def _has_recent() -> ColumnElement[bool]:
    """Return the condition that a fault has been gone for fewer iterations than it lasted, as `judge` has it."""
    examined = select(func.max(LatestValue.iteration)).where(
        LatestValue.job_id == Job.id, LatestValue.metric.startswith(SIGNALS)
    )
    lasted = func.sum(FindingRow.ended - FindingRow.since)
    gone = examined.correlate(Job).scalar_subquery() - func.max(FindingRow.ended)
    rules = (
        select(FindingRow.rule)
        .where(FindingRow.job_id == Job.id, FindingRow.severity.in_(ALARMS))
        .group_by(FindingRow.rule)
    )
    return rules.having(gone < lasted).correlate(Job).exists()


def _has_signals() -> ColumnElement[bool]:
    return exists().where(LatestValue.job_id == Job.id, LatestValue.metric.startswith(SIGNALS)).correlate(Job)
