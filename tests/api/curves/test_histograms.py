"""Histograms and neighbour grids: stored once, replaced after a resume, read back as they came."""

import json
import math
import struct
from typing import Any

import pytest
from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session

from api.artifacts import queries as artifact_queries
from api.attempts import claims
from api.curves import histograms
from api.curves.histograms import pack_counts, rebin, unpack_counts
from api.errors import ArtifactMissing, RequestInvalid
from api.events.parsing import encode_events
from api.jobs import queries as job_queries
from api.samples import queries as sample_queries
from api.server.database.engine import Database
from api.server.database.migrations import build_config
from api.server.database.models import HistogramRow, Job
from ganlib.events import Histogram, HistogramsLogged, NeighbourGridSaved
from tests.support.services import (
    add_claimed_job,
    claim,
    finish,
    make_checkpoint,
    make_grid_event,
    make_stored_file,
    number,
    post,
)


def make_histogram(shift: float = 0.0, not_finite: int = 0, **bins: int) -> Histogram:
    """From `shift` to `shift` + 64, so that a bin is 1 wide; `b3=5` puts five values into bin 3."""
    counts = tuple(bins.get(f"b{place}", 0) for place in range(64))
    return Histogram(low=shift, high=shift + 64, counts=counts, not_finite=not_finite)


def make_histograms(iteration: int, **bins: int) -> HistogramsLogged:
    both = {"logits/real": make_histogram(-0.25, **bins), "logits/fake": make_histogram(7.5, 2, **bins)}
    return HistogramsLogged(iteration=iteration, histograms=both)


def make_neighbours(session: Session, iteration: int, content: bytes, media: Any = "image/png") -> Any:
    file = make_stored_file(content)
    artifact_queries.insert_artifact(session, file.sha256, file.size, media)
    fields = make_grid_event(iteration, file).model_dump(exclude={"kind"})
    return NeighbourGridSaved.model_validate(fields)


def read(session: Session, job: Job, name: str) -> list[tuple[int, Histogram]]:
    items = histograms.list_histograms(session, job.id, [name]).items
    return [
        (item.iteration, Histogram.model_validate(item.model_dump(exclude={"name", "iteration"})))
        for item in items
    ]


def test_histograms_come_back_as_they_went(database: Database) -> None:
    large = Histogram(low=-75.125, high=35.0, counts=(2**32 - 1,) * 64, not_finite=2**32 - 1)
    with database.write() as session:
        job = add_claimed_job(session)
        extreme = HistogramsLogged(iteration=200, histograms={"logits/real": large})
        post(session, job, [make_histograms(100, b0=3, b63=9), extreme])
    with database.read() as session:
        assert read(session, job, "logits/real") == [(100, make_histogram(-0.25, b0=3, b63=9)), (200, large)]
        assert read(session, job, "logits/fake") == [(100, make_histogram(7.5, 2, b0=3, b63=9))]
        assert job_queries.get_job(session, job.id).iteration == 200


def test_a_later_histogram_of_the_same_iteration_takes_its_place(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        # In one batch, and in the next one.
        post(session, job, [make_histograms(5, b1=1), make_histograms(5, b2=1)])
        assert read(session, job, "logits/real") == [(5, make_histogram(-0.25, b2=1))]
        post(session, job, [make_histograms(5, b3=1)], first=2)
        assert read(session, job, "logits/real") == [(5, make_histogram(-0.25, b3=1))]


def test_a_row_is_small() -> None:
    counts = [0] * 20 + [1, 3, 17, 90, 400, 1200, 2600, 1800, 900, 300, 77, 12, 4, 1] + [0] * 30
    assert unpack_counts(pack_counts(counts)) == tuple(counts)
    assert len(pack_counts(counts)) < 100
    assert struct.calcsize("<64I") == 256


def train_until_lost(database: Database) -> Job:
    """An attempt that saved a checkpoint at 10 and was lost after 15."""
    with database.write() as session:
        job = add_claimed_job(session)
        early = [make_histograms(5, b1=5), make_neighbours(session, 5, b"early")]
        late = [make_histograms(15, b1=15), make_neighbours(session, 15, b"late")]
        post(session, job, [*early, make_checkpoint(session, 10, b"weights"), *late])
        finish(session, job, "preempted", count=5)
    return job


def test_after_a_resume_there_is_neither_gap_nor_double(database: Database) -> None:
    train_until_lost(database)
    with database.write() as session:
        claimed = claim(session)
        assert claimed is not None
        job = claimed.job
        assert [iteration for iteration, _ in read(session, job, "logits/real")] == [5]
        assert [grid.iteration for grid in sample_queries.list_neighbour_grids(session, job.id).items] == [5]
        post(session, job, [make_histograms(15, b2=2), make_neighbours(session, 15, b"again")])
        assert [found.counts[2] for _, found in read(session, job, "logits/real")] == [0, 2]
        grids = sample_queries.list_neighbour_grids(session, job.id).items
        assert [(grid.iteration, grid.attempt) for grid in grids] == [(5, 1), (15, 2)]
        assert grids[1].sha256 == make_stored_file(b"again").sha256


def test_control_without_the_removal_the_lost_attempts_histograms_stay(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "discard_after", lambda *_: None)
    train_until_lost(sqlite)
    with sqlite.write() as session:
        claimed = claim(session)
        assert claimed is not None
        assert [iteration for iteration, _ in read(session, claimed.job, "logits/real")] == [5, 15]


def test_a_batch_that_comes_again_changes_nothing(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        for _ in range(2):
            post(session, job, [make_histograms(5, b1=1), make_neighbours(session, 5, b"grid")])
        assert len(list(session.scalars(select(HistogramRow)))) == 2
        assert len(sample_queries.list_neighbour_grids(session, job.id).items) == 1


def test_bins_count_as_points_of_a_post(sqlite: Database) -> None:
    with sqlite.write() as session:
        job = add_claimed_job(session)
        # Two histograms of 64 bins each: 156 events are 19,968 numbers, 157 are 20,096.
        post(session, job, [make_histograms(place) for place in range(156)])
    with sqlite.write() as session, pytest.raises(RequestInvalid, match=r"20,096 points"):
        post(session, job, [make_histograms(place) for place in range(157)], first=156)


def test_a_neighbour_grid_is_a_png_that_was_put_before(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        known = make_neighbours(session, 5, b"known").model_dump()
    with pytest.raises(ArtifactMissing, match="image/png"), database.write() as session:
        post(session, job, [make_neighbours(session, 5, b"bytes", "application/octet-stream")])
    missing = NeighbourGridSaved.model_validate(known | {"file": make_stored_file(b"unknown")})
    with pytest.raises(ArtifactMissing), database.write() as session:
        post(session, job, [missing])


def test_a_neighbour_grids_file_is_in_use(database: Database) -> None:
    with database.write() as session:
        job = add_claimed_job(session)
        post(session, job, [make_neighbours(session, 5, b"grid")])
        used = make_stored_file(b"grid").sha256
        unused = artifact_queries.insert_artifact(session, "f" * 64, 1, "image/png").sha256
        assert not artifact_queries.delete_unused_artifact(session, used)
        assert artifact_queries.list_orphans(session, -60) == [unused]


def test_routes_page_through_both(client: TestClient) -> None:
    database: Database = client.app.state.services.database  # type: ignore[attr-defined]
    with database.write() as session:
        job = add_claimed_job(session)
        grids = [make_neighbours(session, place, b"grid %d" % place) for place in range(3)]
        post(session, job, [*(make_histograms(place, b1=place) for place in range(3)), *grids])
    seen: list[tuple[str, int, int]] = []
    query = ""
    while True:
        page = client.get(f"/jobs/{job.id}/histograms?limit=2{query}").json()
        seen += [(item["name"], item["iteration"], item["counts"][1]) for item in page["items"]]
        if page["next"] is None:
            break
        query = f"&cursor={page['next']}"
    assert seen == [(name, place, place) for name in ("logits/fake", "logits/real") for place in range(3)]
    (only,) = client.get(f"/jobs/{job.id}/histograms?name=logits/real&limit=1").json()["items"]
    expected = {
        "name": "logits/real",
        "iteration": 0,
        "low": -0.25,
        "high": 63.75,
        "counts": [0] * 64,
        "not_finite": 0,
    }
    assert only == expected
    page = client.get(f"/jobs/{job.id}/neighbours?limit=2").json()
    rest = client.get(f"/jobs/{job.id}/neighbours?limit=2&cursor={page['next']}").json()
    assert [grid["iteration"] for grid in page["items"] + rest["items"]] == [0, 1, 2]
    assert page["items"][0]["url"] == f"/artifacts/{make_stored_file(b'grid 0').sha256}"
    for kind in ("histograms", "neighbours"):
        assert client.get(f"/jobs/nosuchjob/{kind}").status_code == 404
        assert client.get(f"/jobs/{job.id}/{kind}?cursor=nonsense").status_code == 422


def test_events_that_are_no_histograms_are_refused(client: TestClient) -> None:
    database: Database = client.app.state.services.database  # type: ignore[attr-defined]
    with database.write() as session:
        job = add_claimed_job(session)
    (good,) = json.loads(encode_events(number([make_histograms(5, b1=1)])))
    real = good["event"]["histograms"]["logits/real"]
    for change in ({"low": 99.0}, {"high": "inf"}, {"counts": [0] * 63}, {"counts": [-1] * 64}, {"more": 1}):
        event = good["event"] | {"histograms": {"logits/real": real | change}}
        answer = client.post(f"/jobs/{job.id}/attempts/1/events", json={"events": [good | {"event": event}]})
        assert answer.status_code == 422, change
    assert client.post(f"/jobs/{job.id}/attempts/1/events", json={"events": [good]}).status_code == 200


def test_the_tables_go_and_come_again(database: Database) -> None:
    def names() -> set[str]:
        return set(inspect(database.engine).get_table_names()) & {"histograms", "neighbour_grids", "jobs"}

    with database.engine.begin() as connection:
        command.downgrade(build_config(connection), "0001")
    assert names() == {"jobs"}
    with database.engine.begin() as connection:
        command.upgrade(build_config(connection), "head")
        assert connection.execute(text("SELECT count(*) FROM histograms")).scalar() == 0
    assert names() == {"histograms", "neighbour_grids", "jobs"}


def test_common_bins_by_hand() -> None:
    # Bins 1 wide from 0 on: bin 3 is 3 to 4, and rows from 0 to 8 are 2 high.
    assert rebin(make_histogram(b3=4), 0, 8, 4) == [0, 1, 0, 0]
    assert rebin(make_histogram(b1=1, b2=1), 0, 8, 4) == [0.5, 0.5, 0, 0]
    # Half a bin beyond a row's edge: from 1.5 to 2.5.
    assert rebin(make_histogram(0.5, b1=1), 0, 8, 4) == [0.5, 0.5, 0, 0]
    # Rows narrower than a bin: 3 to 4 in rows of a quarter.
    assert rebin(make_histogram(b3=1), 3, 4, 4) == [0.25, 0.25, 0.25, 0.25]
    # A quarter of the values is not finite, and lies nowhere.
    assert rebin(make_histogram(not_finite=1, b0=3), 0, 8, 4) == [0.75, 0, 0, 0]
    # Below and above the axis counts to its ends.
    assert rebin(make_histogram(b0=1, b32=1, b63=2), 30, 34, 2) == [0.25, 0.75]
    assert rebin(make_histogram(b0=1, b1=1), 1.5, 3.5, 2) == pytest.approx([1, 0])
    assert rebin(make_histogram(not_finite=2), 0, 8, 4) == [0, 0, 0, 0]


def test_no_range_is_too_wide_for_common_bins() -> None:
    most = 1.7e308
    wide = Histogram(low=-most, high=most, counts=(1,) * 64)
    for low, high in ((-most, most), (0.0, 1e-300), (-1.0, 1.0)):
        shares = rebin(wide, low, high, 8)
        assert math.fsum(shares) == pytest.approx(1)
    assert rebin(wide, -most, most, 8) == pytest.approx([1 / 8] * 8)
