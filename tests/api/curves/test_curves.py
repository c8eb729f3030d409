"""Curves: the same points whether folded or not, and neither gap nor double after a resume."""

import asyncio
import random

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from api.attempts import claims
from api.curves import columns
from api.curves import queries as curve_queries
from api.curves.schemas import CurvesRead
from api.errors import JobNotFound, TooManyRequests
from api.events import log
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.samples import queries as sample_queries
from api.server.database.engine import Database, build_database
from api.server.database.models import CurveChunk, Job
from api.server.http import responses
from api.server.operations import costly
from tests.conftest import LiveService
from tests.support.services import (
    add_claimed_job,
    add_job,
    claim,
    finish,
    kinds,
    make_checkpoint,
    make_grid,
    make_line,
    make_metrics,
    post,
    read_points,
    reap,
)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_queries, "CHUNK_POINTS", 7)
    monkeypatch.setattr(curve_queries, "TAIL_BATCHES", 3)


def count_chunks(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(CurveChunk)) or 0


@pytest.mark.usefixtures("small_chunks")
def test_points_in_any_order_read_the_same_however_they_are_folded(database: Database) -> None:
    source = random.Random(1)
    expected: dict[int, float] = {}
    first = 0
    with database.write() as session:
        job = add_claimed_job(session)
    for _ in range(40):
        batch = []
        for _ in range(source.randint(1, 6)):
            # Mostly rising, sometimes far back or the same again.
            iteration = max(0, first + source.choice([0, 0, 1, -1, -3, -20]))
            value = source.random()
            batch.append(make_metrics(iteration, loss_generator=value))
            expected[iteration] = value
            first += 1
        with database.write() as session:
            post(session, job, batch, first=first - len(batch), attempt=1)
        with database.read() as session:
            assert read_points(session, job, "loss/generator") == expected
    with database.write() as session:
        assert count_chunks(session) > 3
        finish(session, job_queries.get_job(session, job.id), "succeeded", count=first)
        assert read_points(session, job, "loss/generator") == expected
        counts = list(session.scalars(select(CurveChunk.count)))
    assert max(counts) <= 7


def test_a_reduced_curve_tells_how_many_points_there_are(sqlite: Database) -> None:
    with sqlite.write() as session:
        job = add_claimed_job(session)
        post(
            session,
            job,
            [make_metrics(i, loss_generator=float(i == 50), loss_discriminator=1.0) for i in range(100)],
        )
        result = curve_queries.read_curves(session, job.id, points=10)
    assert [(curve.name, curve.total, len(curve.iterations) <= 10) for curve in result.curves] == [
        ("loss/discriminator", 100, True),
        ("loss/generator", 100, True),
    ]
    assert 1.0 in result.curves[1].values
    assert result.last_event_id == job.last_event_id


def test_a_metric_that_is_not_there_is_left_out(sqlite: Database) -> None:
    with sqlite.write() as session:
        job = add_claimed_job(session)
        assert curve_queries.read_curves(session, job.id, ["loss/other"]).curves == []
        with pytest.raises(JobNotFound):
            curve_queries.read_curves(session, "nosuchjob")


def train_until_lost(database: Database) -> Job:
    """An attempt that saved a checkpoint at 10 and was lost after 15."""
    with database.write() as session:
        job = add_claimed_job(session)
        early = [make_metrics(i, loss_generator=float(i)) for i in range(1, 11)]
        rest = [make_metrics(i, loss_generator=-1.0, eval_late=1.0) for i in range(11, 16)]
        grids = [make_grid(session, i, b"grid %d" % i) for i in (5, 15)]
        post(
            session,
            job,
            [*early, make_checkpoint(session, 10, b"weights"), *rest, *grids, make_line(15, "last words")],
        )
        assert serializers.job_summary(session, job).iteration == 15
        finish(session, job, "preempted", count=19)
    return job


def resume_and_finish(database: Database, *, stored: bool = True) -> Job:
    """The next attempt goes on from its checkpoint, or from the start, up to 20."""
    with database.write() as session:
        claimed = claim(session, stored=stored)
        assert claimed is not None
        start = claimed.resume.iteration if claimed.resume else 0
        grids = [make_grid(session, i, b"grid %d" % i) for i in (5, 15, 20) if i > start]
        batch = [make_metrics(i, loss_generator=float(i)) for i in range(start + 1, 21)]
        post(session, claimed.job, [*batch, *grids])
        return finish(session, claimed.job, "succeeded", count=len(batch) + len(grids))


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("stored", [True, False])
def test_after_a_resume_curves_and_timeline_have_no_gap_and_no_double(database: Database, stored: bool) -> None:
    train_until_lost(database)
    job = resume_and_finish(database, stored=stored)
    with database.read() as session:
        assert read_points(session, job, "loss/generator") == {i: float(i) for i in range(1, 21)}
        timeline = sample_queries.list_samples(session, job.id).items
        assert [sample.iteration for sample in timeline] == [5, 15, 20]
        assert [sample.attempt for sample in timeline] == ([1, 2, 2] if stored else [2, 2, 2])
        assert serializers.job_summary(session, job).latest.keys() == {"loss/generator"}
        assert serializers.job_read(session, job).attempts[1].resumed_from == (10 if stored else 0)


def test_control_without_the_removal_a_resumed_curve_keeps_points_of_the_lost_attempt(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "discard_after", lambda *_: None)
    train_until_lost(sqlite)
    job = resume_and_finish(sqlite)
    with sqlite.read() as session:
        assert "eval/late" in serializers.job_summary(session, job).latest


def test_a_claim_names_the_newest_checkpoint_whose_file_is_there(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        for index, iteration in enumerate((10, 20)):
            post(session, job, [make_checkpoint(session, iteration, b"weights %d" % iteration)], first=index)
        gone = sample_queries.list_checkpoints(session, job.id)[1].sha256
        finish(session, job, "preempted", count=2)
        claimed = claims.claim_job(session, claims.ClaimRequest(worker="w"), 60, lambda name: name != gone)
    assert claimed is not None
    assert claimed.resume is not None
    assert claimed.resume.iteration == 10


def test_at_a_resume_everything_shown_goes_back_to_the_checkpoint(database: Database) -> None:
    job = train_until_lost(database)
    with database.write() as session:
        assert claim(session) is not None
    with database.read() as session:
        summary = serializers.job_summary(session, job_queries.get_job(session, job.id))
        assert (summary.iteration, summary.latest["loss/generator"].iteration) == (10, 10)
        assert summary.newest_sample is not None
        assert summary.newest_sample.iteration == 5
        assert [line.text for line in sample_queries.list_log_lines(session, job.id).items] == [
            "Attempt 1 begins on worker worker-1.",
            "last words",
            "Attempt 1 stopped because its worker shut down. The job continues as soon as a worker is free.",
            "Attempt 2 resumes from iteration 10 on worker worker-1.",
        ]
        assert kinds(session, job)[-3:] == ["state_changed", "attempt_started", "line_logged"]
        events = log.list_batches(session, job.id, 0, 100)[-1].events
        assert events[-2]["event"] == {"kind": "attempt_started", "attempt": 2, "resumed_from": 10}


def test_every_change_of_state_is_told_to_streams(database: Database) -> None:
    with database.write() as session:
        job = add_job(session)
        assert claim(session) is not None
        reap(session, job.id)
        session.execute(update(Job).where(Job.id == job.id).values(not_before=None))
        assert claim(session) is not None
        job_queries.cancel_job(session, job.id)
        finish(session, job, "cancelled")
        batches = log.list_batches(session, job.id, 0, 100)
        told = [
            (item["event"]["state"], item["event"]["cancel_requested"])
            for batch in batches
            for item in batch.events
            if item["event"]["kind"] == "state_changed"
        ]
        assert job.last_event_id == batches[-1].id
    assert told == [
        ("queued", False),
        ("running", False),
        ("queued", False),
        ("running", False),
        ("running", True),
        ("cancelled", True),
    ]


# Large answers.


@pytest.mark.usefixtures("small_chunks")
def test_curves_are_read_one_after_the_other(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_metrics(at, a_x=at, b_x=-at, c_x=0.5) for at in range(70)])
        finish(session, job, "succeeded", 70)
    unpack, unpacked = curve_queries.unpack_points, []
    monkeypatch.setattr(curve_queries, "unpack_points", lambda packed: unpacked.append(packed) or unpack(packed))
    with sqlite.read() as session:
        listing = curve_queries.list_curves(session, job.id)
        curves = curve_queries.iterate_curves(session, listing)
        assert (listing.names, unpacked) == (["a/x", "b/x", "c/x"], [])
        assert list(next(curves).points.values) == list(range(70))
        assert len(unpacked) == 10
        assert list(next(curves).points.values) == [-at for at in range(70)]
        assert len(unpacked) == 20


@pytest.mark.parametrize("form", ["json", "binary", "bands"])
def test_a_large_answer_is_sent_in_pieces_and_says_the_same(
    client: TestClient, sqlite: Database, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    with sqlite.write() as session:
        job = add_claimed_job(session)
        values = [0.1, float("nan"), float("inf"), float("-inf"), 1e-300, -2.0] * 20
        post(session, job, [make_metrics(at, loss_generator=value) for at, value in enumerate(values)])
    path = f"/jobs/{job.id}/metrics?form={form}&points=100000"
    whole = client.get(path)
    monkeypatch.setattr(responses, "MAX_COMPRESSED", 64)
    monkeypatch.setattr(columns, "_NUMBERS_AT_ONCE", 7)
    pieces = client.get(path)
    assert ("content-length" in whole.headers, "content-length" in pieces.headers) == (True, False)
    assert whole.content == pieces.content
    if form == "json":
        [curve] = CurvesRead.model_validate_json(pieces.content).curves
        assert (curve.total, curve.iterations) == (120, list(range(120)))
        assert str(curve.values) == str(values)


def test_costly_answers_are_a_few_at_once_and_the_others_wait_or_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(costly, "WAIT_SECONDS", 0.05)
    answers, end, most = costly.CostlyAnswers(), asyncio.Event(), 0

    async def answer() -> str:
        nonlocal most
        try:
            async with answers.hold():
                most = max(most, costly.AT_ONCE - answers._slots._value)
                await end.wait()
        except TooManyRequests as error:
            return f"{error.status}, again in {error.details['retry_after_seconds']} s"
        return "sent"

    async def run() -> list[str]:
        tasks = [asyncio.create_task(answer()) for _ in range(40)]
        # Those beyond the line are refused at once, those in it after a while.
        done, _ = await asyncio.wait(tasks, timeout=0.02)
        assert len(done) == 40 - costly.AT_ONCE - costly.MOST_WAITING
        done, _ = await asyncio.wait(tasks, timeout=0.2)
        assert len(done) == 40 - costly.AT_ONCE
        end.set()
        return await asyncio.gather(*tasks)

    said = asyncio.run(run())
    assert sorted(set(said)) == ["429, again in 2 s", "sent"]
    assert (said.count("sent"), most, answers._slots._value) == (costly.AT_ONCE, costly.AT_ONCE, costly.AT_ONCE)


def test_a_reader_that_leaves_in_the_middle_gives_its_slot_and_its_connection_back(
    live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_COMPRESSED", 64)
    database = build_database(live_service.settings)
    with database.write() as session:
        job = add_claimed_job(session)
        for first in range(0, 20_000, 1000):
            events = [make_metrics(at, loss_generator=at / 3) for at in range(first, first + 1000)]
            post(session, job, events, first=first)
    database.close()
    url = f"{live_service.url}/jobs/{job.id}/metrics"
    for _ in range(3 * costly.AT_ONCE):
        with httpx.stream("GET", url) as answer:
            next(answer.iter_raw(100))
    assert len(httpx.get(url).json()["curves"][0]["values"]) == 20_000
