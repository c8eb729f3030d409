"""Events of a worker: stored once, in order, or refused whole."""

import math

import pytest
from sqlalchemy import func, select

from api.artifacts import queries as artifact_queries
from api.errors import ArtifactMissing, RequestInvalid, SequenceConflict
from api.events import ingest, log
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.samples import queries as sample_queries
from api.server.database.engine import Database
from api.server.database.models import EventBatch
from ganlib.events import CheckpointSaved, LatentsFixed, MetricsLogged
from tests.support.services import (
    add_claimed_job,
    make_checkpoint,
    make_grid,
    make_grid_event,
    make_line,
    make_metrics,
    make_stored_file,
    number,
    post,
    read_points,
)

THREE = [make_metrics(i, loss_generator=float(i)) for i in (1, 2, 3)]


def count_batches(database: Database) -> int:
    with database.read() as session:
        query = select(func.count()).select_from(EventBatch).where(EventBatch.first_seq.is_not(None))
        return session.scalar(query) or 0


def test_a_batch_that_comes_again_changes_nothing(database: Database) -> None:
    for _ in range(2):
        with database.write() as session:
            job = job_queries.list_jobs(session).items
            row = job_queries.get_job(session, job[0].id) if job else add_claimed_job(session)
            assert post(session, row, THREE, attempt=1).next_seq == 3
    assert count_batches(database) == 1


def test_a_batch_that_overlaps_adds_only_its_new_events(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, THREE[:2])
    with database.write() as session:
        assert post(session, job, THREE[1:], first=1, attempt=1).next_seq == 3
        assert read_points(session, job, "loss/generator") == {1: 1.0, 2: 2.0, 3: 3.0}
        stored = log.list_batches(session, job.id, 0, 100)
    assert [item["seq"] for batch in stored for item in batch.events if "seq" in item] == [0, 1, 2]


def takes_other_bytes(database: Database) -> bool:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, THREE)
    changed = [THREE[0], make_metrics(2, loss_generator=2.5), THREE[2]]
    try:
        with database.write() as session:
            post(session, job, changed, attempt=1)
    except SequenceConflict:
        return False
    return True


def test_a_number_that_comes_again_with_other_bytes_is_refused(database: Database) -> None:
    assert not takes_other_bytes(database)


def test_control_without_the_comparison_other_bytes_pass(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "encode_event", lambda _: "")
    assert takes_other_bytes(sqlite)


def test_a_gap_is_refused_and_names_the_number_that_is_missing(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, THREE)
    with pytest.raises(SequenceConflict) as refused, database.write() as session:
        post(session, job, THREE, first=4, attempt=1)
    assert refused.value.details == {"next_seq": 3}
    assert count_batches(database) == 1


def test_numbers_inside_a_batch_follow_each_other(sqlite: Database) -> None:
    with sqlite.write() as session:
        job = add_claimed_job(session)
    scattered = [*number([THREE[0]], 0), *number([THREE[0]], 2)]
    with pytest.raises(SequenceConflict), sqlite.write() as session:
        ingest.insert_events(session, job.id, 1, scattered, 60)


def test_special_values_come_back_as_they_went(database: Database) -> None:
    special = [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324]
    batch = [make_metrics(i, loss_generator=value) for i, value in enumerate(special, start=1)]
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, batch)
        flagged = [serializers.job_summary(session, job).latest["loss/generator"].value]
    with database.write() as session:
        for index, value in enumerate(special[:3]):
            post(session, job, [make_metrics(6 + index, loss_generator=value)], first=5 + index, attempt=1)
            flagged.append(serializers.job_summary(session, job).latest["loss/generator"].value)
        points = read_points(session, job, "loss/generator")
    assert flagged[0] == 5e-324
    assert math.isnan(flagged[1])
    assert flagged[2:] == [float("inf"), float("-inf")]
    assert math.isnan(points[1])
    assert [points[i] for i in (2, 3, 5)] == special[1:3] + special[4:]
    assert math.copysign(1, points[4]) == -1


def test_too_many_points_in_one_post_are_refused(sqlite: Database) -> None:
    wide = {f"group/metric_{index}": 0.0 for index in range(201)}
    batch = [MetricsLogged(iteration=i, values=wide) for i in range(100)]
    with pytest.raises(RequestInvalid, match="20,100 points"), sqlite.write() as session:
        post(session, add_claimed_job(session), batch)


def test_an_iteration_beyond_the_job_is_refused(sqlite: Database) -> None:
    with pytest.raises(RequestInvalid, match="beyond"), sqlite.write() as session:
        post(session, add_claimed_job(session, iterations=10), [make_metrics(11, loss_generator=1.0)])


@pytest.mark.parametrize(
    "event",
    [
        make_grid_event(1, make_stored_file(b"never put")),
        CheckpointSaved(iteration=1, file=make_stored_file(b"never put")),
        LatentsFixed(file=make_stored_file(b"never put"), count=1, latent_size=2),
    ],
)
def test_an_event_that_names_a_file_which_was_not_put_is_refused_whole(database: Database, event: object) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
    with pytest.raises(ArtifactMissing) as refused, database.write() as session:
        post(session, job, [*THREE, event])
    assert refused.value.details["sha256"] == [make_stored_file(b"never put").sha256]
    assert count_batches(database) == 0
    with database.read() as session:
        assert serializers.job_summary(session, job_queries.get_job(session, job.id)).latest == {}


def test_a_file_that_was_not_checked_as_an_image_is_no_grid(sqlite: Database) -> None:
    with sqlite.write() as session:
        job = add_claimed_job(session)
        file = make_checkpoint(session, 1, b"no image").file
    with pytest.raises(ArtifactMissing, match="image/png"), sqlite.write() as session:
        post(session, job, [make_grid_event(1, file)])


def test_a_batch_is_seen_in_lists_timeline_log_and_checkpoints(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        grids = [make_grid(session, i, b"grid %d" % i) for i in (5, 10)]
        checkpoint = make_checkpoint(session, 10, b"weights")
        batch = [make_line(0, "started\0here"), *grids, make_metrics(10, loss_generator=0.5), checkpoint]
        post(session, job, batch)
    with database.read() as session:
        summary = serializers.job_summary(session, job_queries.get_job(session, job.id))
        assert (summary.iteration, summary.latest["loss/generator"].value) == (10, 0.5)
        assert summary.newest_sample is not None
        assert summary.newest_sample.iteration == 10
        assert [sample.iteration for sample in sample_queries.list_samples(session, job.id).items] == [5, 10]
        assert [line.text for line in sample_queries.list_log_lines(session, job.id).items] == [
            "Attempt 1 begins on worker worker-1.",
            "started\N{REPLACEMENT CHARACTER}here",
        ]
        assert [point.iteration for point in sample_queries.list_checkpoints(session, job.id)] == [10]


def test_an_older_value_does_not_take_the_place_of_the_newest(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_metrics(10, eval_fid=1.0)])
        post(session, job, [make_metrics(5, eval_fid=9.0)], first=1)
        latest = serializers.job_summary(session, job).latest["eval/fid"]
        assert (latest.iteration, latest.value) == (10, 1.0)
        assert read_points(session, job, "eval/fid") == {5: 9.0, 10: 1.0}


def test_of_one_iteration_twice_the_later_value_wins(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_metrics(1, loss_generator=1.0), make_metrics(1, loss_generator=2.0)])
        assert read_points(session, job, "loss/generator") == {1: 2.0}
        post(session, job, [make_metrics(1, loss_generator=3.0)], first=2)
        assert read_points(session, job, "loss/generator") == {1: 3.0}


def test_only_the_newest_two_checkpoints_keep_their_files(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        retired = []
        for index in range(4):
            event = make_checkpoint(session, index + 1, b"weights %d" % index)
            retired += post(session, job, [event], first=index).retired
        assert retired == [make_stored_file(b"weights 0").sha256, make_stored_file(b"weights 1").sha256]
        shown = sample_queries.list_checkpoints(session, job.id)
    assert [(point.iteration, point.url is not None) for point in shown] == [
        (1, False),
        (2, False),
        (3, True),
        (4, True),
    ]


@pytest.mark.parametrize(
    ("metric", "figures", "best"),
    [
        ("eval_frechet_distance", [9.0, 3.0, 5.0, 4.0, float("nan")], 2),
        ("eval_classifier_score", [1.0, 7.0, 5.0, 7.0, 6.0], 2),
        # No direction is better here: the newest two alone are kept.
        ("eval_certainty", [1.0, 7.0, 5.0, 4.0, 6.0], None),
    ],
)
def test_the_best_judged_checkpoint_keeps_its_file_beside_the_newest(
    database: Database, metric: str, figures: list[float], best: int | None
) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        for index, figure in enumerate(figures):
            # In one batch, and measured at the checkpoint's own iteration.
            iteration = 10 * (index + 1)
            events = [
                make_metrics(iteration, **{metric: figure}),
                make_checkpoint(session, iteration, b"%d" % index),
            ]
            post(session, job, events, first=2 * index)
        shown = sample_queries.list_checkpoints(session, job.id)
    kept = {point.iteration // 10 for point in shown if point.url}
    assert kept == {4, 5} | ({best} if best else set())
    assert [point.iteration // 10 for point in shown if point.is_best] == ([best] if best else [])


def test_a_better_checkpoint_takes_the_place_of_the_best_one(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        retired: list[str] = []
        # Measured every ten iterations; checkpoints at 25 and so on count as what was measured last before them.
        for index, figure in enumerate([8.0, 2.0, 5.0, 6.0, 1.0, 7.0]):
            events = [
                make_metrics(10 * index + 10, eval_frechet_distance=figure),
                make_checkpoint(session, 10 * index + 15, b"%d" % index),
            ]
            retired += post(session, job, events, first=2 * index).retired
        shown = sample_queries.list_checkpoints(session, job.id)
    assert [point.iteration for point in shown if point.url] == [55, 65]
    assert [point.iteration for point in shown if point.is_best] == [55]
    assert sorted(retired) == sorted(make_stored_file(b"%d" % index).sha256 for index in (0, 1, 2, 3))


def test_a_file_is_deleted_only_when_nothing_refers_to_it(database: Database) -> None:
    with database.write() as session:
        first, second = add_claimed_job(session), add_claimed_job(session, name="other")
        shared = make_stored_file(b"same weights").sha256
        for job in (first, second):
            post(session, job, [make_checkpoint(session, 1, b"same weights")])
        for index in (1, 2):
            post(session, first, [make_checkpoint(session, index + 1, b"later %d" % index)], first=index)
        assert not artifact_queries.delete_unused_artifact(session, shared)
        for index in (1, 2):
            post(session, second, [make_checkpoint(session, index + 1, b"more %d" % index)], first=index)
        assert artifact_queries.delete_unused_artifact(session, shared)
