"""Findings without end: a worker reports as many as it likes, and nobody else may wait for that."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.orm import Session

from api.attempts import claims
from api.events.findings import advice, queries, reports
from api.server.database.engine import Database
from api.server.database.models import Job
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.evaluation.diagnosis.verdict import judge
from tests.support.services import add_claimed_job, add_job, make_finding, make_signals, post


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def report(session: Session, job: Job, count: int) -> None:
    post(session, job, [make_finding(count, since) for since in range(count)])


def test_a_claim_takes_back_many_findings_with_few_statements(database: Database) -> None:
    taken = []
    for count in (3, 700):
        with database.write() as session:
            job = add_claimed_job(session)
            report(session, job, count)
            with counted(database) as statements:
                claims.discard_after(session, job, -1)
            assert queries.list_job_findings(session, job.id) == []
            taken.append(len(statements))
    # Two deletions of up to 500 findings instead of one.
    assert taken[1] <= taken[0] + 1


def test_a_retry_copies_many_findings_with_few_statements(database: Database) -> None:
    taken = []
    for count in (3, 700):
        with database.write() as session:
            source, job = add_claimed_job(session), add_job(session)
            report(session, source, count)
            with counted(database) as statements:
                reports.copy_reports(session, source.id, job.id, count)
            copied = queries.list_job_findings(session, job.id)
            assert copied[0].since == count - 1
            taken.append(len(statements))
    # Two statements for up to 500 findings.
    assert taken[1] <= taken[0] + 2


def test_a_job_in_full_has_the_first_hundred_and_pages_have_all(client: TestClient) -> None:
    with client.app.state.services.database.write() as session:  # type: ignore[attr-defined]
        job = add_claimed_job(session)
        ended = [make_finding(200, since, ended=150, severity="note") for since in range(50)]
        post(session, job, [*ended, *(make_finding(200, since) for since in range(50, 170))])
        job_id = job.id
    shown = client.get(f"/jobs/{job_id}").json()["findings"]
    assert shown == client.get(f"/jobs/{job_id}/findings").json()["items"]
    assert [each["since"] for each in shown] == list(range(169, 69, -1))
    page = client.get(f"/findings?job={job_id}&limit=200").json()
    assert (len(page["items"]), page["next"]) == (170, None)


def test_what_is_read_for_a_verdict_is_two_rows_and_the_verdict_is_that_of_all(database: Database) -> None:
    draw = random.Random(7)
    for _ in range(30):
        with database.write() as session:
            job = add_claimed_job(session)
            drawn = [
                make_finding(
                    90,
                    draw.randrange(6),
                    rule=draw.choice([*RULES, "of_another_version"]),
                    severity=draw.choice(["note", "warning", "serious"]),
                    ended=draw.choice([None, None, 50, 60, 70]) if draw.random() < 0.9 else None,
                )
                for _ in range(draw.randrange(1, 12))
            ]
            if draw.random() < 0.5:
                drawn = [each.model_copy(update={"ended": each.ended or 80}) for each in drawn]
            post(session, job, [make_signals(90), *drawn])
            read = queries.read_findings(session, [job.id])[job.id]
            everything = queries.list_job_findings(session, job.id)
            assert len(read) <= 2
            of_all, of_read = judge(everything, 90), judge(read, 90)
            assert (of_read.tone, of_read.text.split(" to ")[-1]) == (of_all.tone, of_all.text.split(" to ")[-1])
            if of_all.tone != "good":
                assert of_read == of_all


def test_advice_is_worked_out_once_a_rule(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    asked: list[str] = []
    monkeypatch.setattr(advice, "list_advice", lambda rule, _spec: asked.append(rule) or [])
    with database.write() as session:
        job = add_claimed_job(session)
        report(session, job, 50)
        advice.add_advice(queries.list_job_findings(session, job.id), job.spec)
    assert asked == ["mode_collapse"]
