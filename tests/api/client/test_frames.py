"""Runs and curves as data frames of pandas and polars."""

import math
from typing import TYPE_CHECKING, Any

import pytest

from api.attempts.schemas import ClaimRequest
from api.client import frames
from api.client.client import Client, FramesNotInstalled, WorkerClient
from api.events.schemas import EventsPost, NumberedEvent
from ganlib.events import MetricsLogged
from tests.api.client.test_client import NOW, SPEC

if TYPE_CHECKING:
    from tests.conftest import LiveService


@pytest.fixture(params=["pandas", "polars"])
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param).__name__


@pytest.fixture
def client(live_service: "LiveService") -> Any:
    with Client(live_service.url) as client, WorkerClient(live_service.url) as worker:
        client.submit({**SPEC, "name": "first", "tags": ["a", "b"]})
        claim = worker.claim_job(ClaimRequest(worker="test"))
        assert claim is not None
        values = [{"loss/generator": 0.5, "eval/fid": 30}, {"loss/generator": math.inf}]
        events = [
            NumberedEvent(seq=seq, at=NOW, event=MetricsLogged(iteration=seq + 1, values=numbers))
            for seq, numbers in enumerate(values)
        ]
        worker.post_events(claim.job_id, 1, EventsPost(events=events).model_dump_json().encode())
        client.submit({**SPEC, "name": "second"})
        yield client


def read_column(frame: Any, name: str) -> list[Any]:
    return list(frame[name].to_list())


def test_runs_are_rows_with_numbers_and_times(client: Client, library: Any) -> None:
    frame = client.frame(sort="name", library=library)
    assert type(frame).__module__.startswith(library)
    assert read_column(frame, "name") == ["first", "second"]
    assert read_column(frame, "losses.generator") == ["non_saturating"] * 2
    assert read_column(frame, "loss/generator")[0] == math.inf
    assert read_column(frame, "eval/fid")[0] == 30
    assert all(moment.year >= 2026 for moment in frame["created_at"])
    assert list(read_column(frame, "tags")[0]) == ["a", "b"]
    assert read_column(client.frame("second", library=library), "name") == ["second"]
    assert len(client.frame("none such", library=library)) == 0


def test_curves_of_several_runs_are_one_long_frame(client: Client, library: Any) -> None:
    curves = client.curves_frame(["first", "second"], library=library)
    assert list(curves.columns) == ["run", "name", "metric", "iteration", "value"]
    rows = sorted(
        zip(*(read_column(curves, name) for name in ("name", "metric", "iteration", "value")), strict=True)
    )
    assert rows == [
        ("first", "eval/fid", 1, 30.0),
        ("first", "loss/generator", 1, 0.5),
        ("first", "loss/generator", 2, math.inf),
    ]
    assert list(client.curves_frame("second", library=library).columns) == list(curves.columns)


def test_columns_of_several_kinds_are_texts_and_numbers_stay_numbers(library: Any) -> None:
    module = pytest.importorskip(library)
    rows = [{"name": "nan", "a": 1, "b": "nan", "c": 2}, {"name": "x", "a": "word", "b": 2.5}]
    frame = frames.build_frame(rows, module)
    assert read_column(frame, "name") == ["nan", "x"]
    assert math.isnan(read_column(frame, "b")[0])
    assert read_column(frame, "a") == (["1", "word"] if library == "polars" else [1, "word"])
    assert read_column(frame, "c")[0] == 2


def test_without_either_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "find_spec", lambda _: None)
    # Nothing is asked of a service before.
    with pytest.raises(FramesNotInstalled, match="pip install pandas, or pip install polars"):
        Client("http://127.0.0.1:9").frame()
    with pytest.raises(FramesNotInstalled, match="polars is not installed: pip install polars"):
        Client("http://127.0.0.1:9").curves_frame([], library="polars")
