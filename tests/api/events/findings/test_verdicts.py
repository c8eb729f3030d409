"""The verdict on jobs: the same as an object and as a condition of the list."""

from collections.abc import Callable
from typing import get_args

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from api.errors import RequestInvalid
from api.events.findings.schemas import VerdictTone
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.jobs.queries import JobFilters
from api.jobs.search import parse_search
from api.server.database.engine import Database
from api.server.database.models import Job
from tests.support.services import add_claimed_job, add_job, finish, make_finding, make_metrics, make_signals, post

Make = Callable[[Session], Job]


def ended(session: Session, end: str, *events: object, code: str | None = None) -> Job:
    job = add_claimed_job(session)
    post(session, job, list(events))
    return finish(session, job, end, count=len(events), code=code)


def running(session: Session, *events: object) -> Job:
    job = add_claimed_job(session)
    post(session, job, list(events))
    return job


SITUATIONS: dict[str, tuple[VerdictTone, Make]] = {
    "Not examined yet: no signals so far": ("unknown", lambda s: add_job(s, device="cuda")),
    "Not examined: this run logs no signals": (
        "unknown",
        lambda s: ended(s, "succeeded", make_metrics(10, loss_generator=1.0)),
    ),
    "No fault found up to iteration 300": ("good", lambda s: running(s, make_signals(200), make_signals(300))),
    "No fault now; Collapsed from iteration 100 to 200: 64 cells, 1 kind": (
        "good",
        lambda s: ended(s, "succeeded", make_signals(300), make_finding(100), make_finding(250, 100, ended=200)),
    ),
    "Just over; Few kinds from iteration 350 to 400: 64 cells, 5 kinds": (
        "warning",
        lambda s: ended(
            s,
            "succeeded",
            make_signals(450),
            make_finding(
                250, 200, ended=250, rule="partial_collapse", severity="warning", text="Few kinds: 64 cells"
            ),
            make_finding(
                400,
                350,
                ended=400,
                rule="partial_collapse",
                severity="warning",
                text="Few kinds: 64 cells, 5 kinds",
            ),
            make_finding(440, 50, ended=440, rule="checkerboard", severity="note", text="Checkerboard"),
        ),
    ),
    "No fault now; Few kinds from iteration 350 to 400: 64 cells, 5 kinds": (
        "good",
        lambda s: ended(
            s,
            "succeeded",
            make_signals(500),
            make_finding(
                250, 200, ended=250, rule="partial_collapse", severity="warning", text="Few kinds: 64 cells"
            ),
            make_finding(
                400,
                350,
                ended=400,
                rule="partial_collapse",
                severity="warning",
                text="Few kinds: 64 cells, 5 kinds",
            ),
        ),
    ),
    "Checkerboard since iteration 50": (
        "note",
        lambda s: running(s, make_finding(50, rule="checkerboard", severity="note", text="Checkerboard")),
    ),
    "Label ignored since iteration 50": (
        "warning",
        lambda s: running(
            s,
            make_finding(50, rule="label_ignored", severity="warning", text="Label ignored"),
            make_finding(60, rule="checkerboard", severity="note", text="Checkerboard"),
        ),
    ),
    "Collapsed since iteration 1,200: 64 cells, 1 kind": (
        "serious",
        lambda s: ended(
            s,
            "succeeded",
            make_signals(1200),
            make_finding(1200),
            make_finding(1300, rule="label_ignored", severity="warning", text="Label ignored"),
        ),
    ),
    "Diverged at iteration 40: losses or weights are not finite": (
        "serious",
        lambda s: ended(s, "failed", make_signals(40), code="training_diverged"),
    ),
    "Failed; no fault of the training up to iteration 40": (
        "unknown",
        lambda s: ended(s, "failed", make_signals(40), code="out_of_memory"),
    ),
    "Failed before it was examined": (
        "unknown",
        lambda s: ended(s, "failed", make_metrics(10, loss_generator=1.0), code="out_of_memory"),
    ),
}


@pytest.fixture
def jobs(database: Database) -> dict[str, str]:
    """A job in each situation, by the text of its verdict."""
    with database.write() as session:
        return {text: make(session).id for text, (_, make) in SITUATIONS.items()}


def test_each_situation_has_its_line_and_its_tone(database: Database, jobs: dict[str, str]) -> None:
    with database.read() as session:
        found = {job.id: job.verdict for job in job_queries.list_jobs(session, limit=50).items}
        read = serializers.job_read(session, job_queries.get_job(session, list(jobs.values())[8]))
    for text, (tone, _) in SITUATIONS.items():
        verdict = found[jobs[text]]
        assert (verdict.text, verdict.tone) == (text, tone)
    assert (read.verdict.rule, read.verdict.since) == ("mode_collapse", 1200)
    assert [finding.rule for finding in read.findings] == ["mode_collapse", "label_ignored"]


def test_the_list_finds_jobs_by_the_verdict_that_it_shows(database: Database, jobs: dict[str, str]) -> None:
    with database.read() as session:
        for tone in get_args(VerdictTone):
            wanted = {jobs[text] for text, (of, _) in SITUATIONS.items() if of == tone}
            by_field = job_queries.list_jobs(session, JobFilters(verdicts=[tone])).items
            by_search = job_queries.list_jobs(session, JobFilters(terms=parse_search(f"verdict:{tone}"))).items
            without = job_queries.list_jobs(session, JobFilters(terms=parse_search(f"-verdict:{tone}"))).items
            assert {job.id for job in by_field} == {job.id for job in by_search} == wanted
            assert {job.id for job in without} == set(jobs.values()) - wanted
        either = job_queries.list_jobs(session, JobFilters(verdicts=["note", "warning"])).items
        assert {job.verdict.tone for job in either} == {"note", "warning"}


def test_the_list_finds_jobs_by_what_was_found_in_them(database: Database, jobs: dict[str, str]) -> None:
    collapsed = {jobs[text] for text in SITUATIONS if "Collapsed" in text}
    with database.read() as session:
        by_field = job_queries.list_jobs(session, JobFilters(finding="mode_collapse")).items
        by_search = job_queries.list_jobs(session, JobFilters(terms=parse_search("finding:mode_collapse"))).items
    assert {job.id for job in by_field} == {job.id for job in by_search} == collapsed


def test_a_search_for_what_no_verdict_is_says_what_there_is() -> None:
    with pytest.raises(RequestInvalid, match="serious, warning, note, good, unknown"):
        parse_search("verdict:fine")
    with pytest.raises(RequestInvalid, match="did you mean serious"):
        parse_search("verdict:serios")
    with pytest.raises(RequestInvalid, match="finding:mode_collapse"):
        parse_search("finding:mode-collapse")


def test_a_list_needs_one_query_for_all_its_verdicts(database: Database, jobs: dict[str, str]) -> None:
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with database.read() as session:
            job_queries.list_jobs(session, limit=50)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert sum(" findings" in statement for statement in statements) == 1
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 3
