"""Figures over HTTP: what is drawn, what is refused, and what it costs the service."""

import asyncio
import io
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from pypdf import PdfReader

from api.server.settings import Settings
from dashboard.figures import planning, render_queue
from dashboard.figures.drawing import process
from dashboard.figures.drawing.plans import Plan
from tests.conftest import LiveService
from tests.support.fake_worker import COMMIT, FakeWorker, connect, make_grid_png
from tests.support.figures import HOSTILE


@pytest.fixture(autouse=True, scope="module")
def _one_list_of_fonts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every service of this file keeps the list of fonts in one place: making it takes a second."""
    cache = tmp_path_factory.mktemp("fonts")
    with pytest.MonkeyPatch.context() as patch:
        environment = process._environment
        patch.setattr(process, "_environment", lambda _: environment(cache))
        yield


@pytest.fixture
def run(worker: FakeWorker) -> str:
    """A run with grids at 100, 200, 300 and losses."""
    worker.submit(name="first-light")
    worker.claim()
    worker.train(300)
    return worker.job_id


def error_of(client: TestClient, path: str) -> tuple[int, str, str]:
    response = client.get(path)
    error = response.json()["error"]
    return response.status_code, error["code"], error["message"]


def make_other_run(worker: FakeWorker, **changes: Any) -> str:
    worker.submit(**changes)
    worker.claim()
    worker.save_grid(250)
    return worker.job_id


def test_timelines_take_the_nearest_earlier_grid_and_say_which(
    client: TestClient, worker: FakeWorker, run: str
) -> None:
    other = make_other_run(worker, name="other")
    response = client.get(f"/figures/timelines.svg?run={run}&run={other}&iteration=150,300&rows=1&columns=1")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/svg+xml"), response.text
    assert response.headers["content-disposition"] == 'attachment; filename="timelines-of-2-runs.svg"'
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", response.text)
    assert shown == ["iteration", "150", "300", "first-light", "at 100", "other", "–", "at 250"]
    described = re.search(r"<dc:description>([^<]*)", response.text)
    assert described is not None
    runs = json.loads(described[1].replace("&quot;", '"'))["runs"]
    assert runs == [
        {"id": run, "name": "first-light", "commit": COMMIT, "iterations": [100, 300]},
        {"id": other, "name": "other", "commit": COMMIT, "iterations": [250]},
    ]


def test_columns_are_spread_evenly_where_no_iteration_is_named(
    client: TestClient, worker: FakeWorker, run: str
) -> None:
    worker.train(900)
    with client.app.state.services.database.read() as session:  # type: ignore[attr-defined]
        asked = planning.TimelinesRequest(run=[run])
        plan = planning.plan_timelines(session, client.app.state.services.blobs, asked, "png").plan  # type: ignore[attr-defined]
    assert isinstance(plan, planning.TimelinesPlan)
    assert plan.iterations == (100, 300, 500, 700, 900)


def test_figures_of_other_grids_have_another_name_for_caches(
    client: TestClient, worker: FakeWorker, run: str
) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]
    same_layout = make_other_run(worker, name="first-light")
    digests = []
    for job_id in (run, run, same_layout):
        with services.database.read() as session:
            asked = planning.TimelinesRequest(run=[job_id], labels="none")
            digests.append(planning.plan_timelines(session, services.blobs, asked, "png").digest)
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_a_figure_that_the_reader_has_is_not_drawn_again(
    client: TestClient, worker: FakeWorker, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/figures/timelines.pdf?run={run}&iteration=100&rows=2&columns=2&width=120"
    first = client.get(path)
    assert "first-light" in PdfReader(io.BytesIO(first.content)).pages[0].extract_text()
    etag = first.headers["etag"]
    monkeypatch.setattr(render_queue, "draw_figure", lambda *_: pytest.fail("it was drawn again"))
    assert client.get(path, headers={"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize("form", ["gif", "png", "mp4"])
def test_a_movie_has_a_frame_for_each_grid(client: TestClient, run: str, form: str) -> None:
    response = client.get(f"/runs/{run}/movie.{form}?size=224&fps=5&caption=none&from=200")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == {"mp4": "video/mp4"}.get(form, f"image/{form}")
    if form == "mp4":
        import av

        with av.open(io.BytesIO(response.content)) as container:
            assert len(list(container.decode(video=0))) == 2
        return
    image = Image.open(io.BytesIO(response.content))
    assert image.n_frames == 2  # type: ignore[attr-defined]
    with Image.open(io.BytesIO(make_grid_png(200))) as grid:
        assert image.convert("L").tobytes() == grid.convert("L").tobytes()


def test_a_movie_of_too_many_grids_is_thinned_and_says_so(client: TestClient, run: str) -> None:
    response = client.get(f"/runs/{run}/movie.gif?frames=2&size=32")
    assert Image.open(io.BytesIO(response.content)).n_frames == 2  # type: ignore[attr-defined]
    assert response.headers["x-left-out"] == "2 of 3 grids, evenly spread"
    assert "x-left-out" not in client.get(f"/runs/{run}/movie.gif?every=200&size=32").headers


def test_curves_table_has_every_point_of_every_metric(client: TestClient, worker: FakeWorker, run: str) -> None:
    worker.post({"kind": "metrics_logged", "iteration": 301, "values": {"eval/fid": "nan"}})
    response = client.get(f"/figures/curves.csv?run={run}")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    rows = [line.split(",") for line in response.text.splitlines()]
    assert rows[0] == ["run", "name", "metric", "iteration", "value"]
    assert [run, "first-light", "eval/fid", "301", "nan"] in rows
    assert len(rows) == 1 + 3 * 30 + 1
    assert client.get(f"/figures/curves.csv?run={run}&metric=eval/fid").text.count("\n") == 2


def test_curves_are_drawn_under_the_names_that_are_given_literally(client: TestClient, run: str) -> None:
    response = client.get("/figures/curves.svg", params={"run": run, "metric": "loss/generator", "smoothing": 0.9})
    assert "loss/generator" in response.text
    other = client.get("/figures/timelines.svg", params={"run": run, f"label.{run}": HOSTILE[2], "width": 400})
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in other.text
    assert "<script" not in other.text


@pytest.mark.parametrize(
    ("path", "status", "code", "says"),
    [
        ("/figures/timelines.png?run=nothing", 404, "job_not_found", "no such job"),
        ("/runs/nothing/movie.gif", 404, "job_not_found", "no such job"),
        ("/figures/curves.csv?run=nothing", 404, "job_not_found", "no such job"),
        ("/figures/timelines.png", 422, "request_invalid", "run: Field required"),
        ("/figures/timelines.png?run=RUN&dpi=0", 422, "request_invalid", "dpi: "),
        ("/figures/timelines.png?run=RUN&dip=300", 422, "request_invalid", "dip: "),
        ("/figures/timelines.png?run=RUN&cells=0-1", 422, "request_invalid", "cells"),
        ("/figures/timelines.png?run=RUN&cells=9-1", 422, "figure_refused", "There is no cell 9-1"),
        ("/figures/timelines.png?run=RUN&iteration=50", 422, "figure_refused", "at or before iteration 50"),
        ("/figures/curves.png?run=RUN&metric=eval/fid", 422, "figure_refused", "there are: loss/discriminator"),
        ("/figures/curves.csv?run=RUN&metric=eval/fid", 422, "figure_refused", "there are: loss/discriminator"),
        ("/figures/curves.png?run=RUN&metric=../etc", 422, "figure_refused", "has a metric ../etc"),
        ("/figures/curves.png?run=RUN&metric=a%1Fb", 422, "request_invalid", "metric"),
        ("/runs/RUN/movie.gif?from=1000", 422, "figure_refused", "no sample grid there yet"),
        ("/runs/RUN/movie.gif?size=9999", 422, "request_invalid", "size: "),
    ],
)
def test_what_cannot_be_drawn_gets_a_sentence(
    client: TestClient, run: str, path: str, status: int, code: str, says: str
) -> None:
    answered = error_of(client, path.replace("RUN", run))
    assert answered[:2] == (status, code)
    assert says in answered[2]


def test_a_run_is_drawn_by_its_name_and_by_the_beginning_of_its_id(client: TestClient, run: str) -> None:
    name = client.get(f"/jobs/{run}").json()["name"]
    tables = [client.get(f"/figures/curves.csv?run={given}") for given in (run, run[:8], name)]
    assert {table.status_code for table in tables} == {200}
    assert len({table.text for table in tables}) == 1
    assert client.get(f"/figures?run={name}&run={run}").text.count(f'name="run" value="{run}"') <= 1


def test_too_much_is_refused_before_anything_is_read(
    client: TestClient, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = "&".join(f"run={n}" for n in range(13))
    assert error_of(client, f"/figures/timelines.png?{runs}")[:2] == (422, "request_invalid")
    monkeypatch.setattr(planning, "MAX_GRID_PIXELS", 3 * 224 * 224 - 1)
    assert error_of(client, f"/figures/timelines.png?run={run}")[:2] == (422, "figure_too_large")
    monkeypatch.setattr(planning, "MAX_POINTS", 59)
    assert error_of(client, f"/figures/curves.png?run={run}")[:2] == (422, "figure_too_large")


def test_a_page_too_large_for_its_png_is_refused_by_the_drawing_process(client: TestClient, run: str) -> None:
    answered = error_of(client, f"/figures/timelines.png?run={run}&iteration=100&width=420&dpi=1200")
    assert answered[:2] == (422, "figure_too_large")
    assert "pixels; at most" in answered[2]


def test_a_service_without_figures_says_how_to_get_them(
    client: TestClient, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_queue, "missing_package", lambda *_: "matplotlib")
    status, code, message = error_of(client, f"/figures/timelines.png?run={run}")
    assert (status, code) == (501, "figures_not_installed")
    assert "pip install 'ganvas[figures]'" in message


def test_only_readers_get_figures(tmp_path: Path, start_service: Callable[[Settings], LiveService]) -> None:
    service = start_service(Settings(home=tmp_path / "closed", port=0, token="a-token-of-some-length"))
    with connect(service.url).client as stranger:
        for path in ("/figures", "/figures/timelines.png?run=a", "/figures/curves.csv?run=a", "/runs/a/movie.gif"):
            assert stranger.get(path).status_code == 401, path
            allowed = stranger.get(path, headers={"authorization": "Bearer a-token-of-some-length"})
            assert allowed.status_code in (200, 404), path


def test_the_service_never_loads_what_draws(client: TestClient, run: str) -> None:
    loaded = set(sys.modules)
    assert client.get(f"/runs/{run}/movie.gif?size=32").status_code == 200
    assert client.get(f"/figures?run={run}").status_code == 200
    new = {name.partition(".")[0] for name in set(sys.modules) - loaded}
    assert new.isdisjoint({"matplotlib", "numpy", "av"})


class _Waiting:
    """A drawing that takes until it is told to end, or to stop."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.was_stopped = False

    def draw(self, plan: Plan, files: Any, cache: Path, should_stop: Callable[[], bool]) -> io.BytesIO:
        self.begun.set()
        while not self.go_on.wait(0.01):
            if should_stop():
                self.was_stopped = True
                raise process.DrawingStopped
        return io.BytesIO(b"drawn")


def test_others_are_answered_while_a_figure_is_drawn_and_a_ninth_is_sent_away(
    live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = _Waiting()
    monkeypatch.setattr(render_queue, "draw_figure", waiting.draw)
    worker = connect(live_service.url)
    worker.submit()
    run = worker.claim()
    worker.save_grid(100)
    path = f"{live_service.url}/runs/{run}/movie.gif"

    async def ask() -> None:
        import httpx

        async with httpx.AsyncClient(timeout=240) as many:
            asked = [asyncio.create_task(many.get(path)) for _ in range(render_queue.MOST_WAITING)]
            await asyncio.to_thread(waiting.begun.wait, 30)
            assert (await many.get(f"{live_service.url}/healthz")).status_code == 200
            while (refused := await many.get(path)).status_code != 429:
                await asyncio.sleep(0.05)
            assert refused.headers["retry-after"] == "10"
            waiting.go_on.set()
            assert [(await answer).content for answer in asked] == [b"drawn"] * render_queue.MOST_WAITING

    asyncio.run(ask())
    worker.client.close()


def test_drawing_stops_when_its_reader_has_left(
    live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = _Waiting()
    monkeypatch.setattr(render_queue, "draw_figure", waiting.draw)
    worker = connect(live_service.url)
    worker.submit()
    run = worker.claim()
    worker.save_grid(100)

    async def ask() -> None:
        import httpx

        async with httpx.AsyncClient(timeout=240) as one:
            asked = asyncio.create_task(one.get(f"{live_service.url}/runs/{run}/movie.gif"))
            await asyncio.to_thread(waiting.begun.wait, 30)
            asked.cancel()

    asyncio.run(ask())
    for _ in range(1000):
        if waiting.was_stopped:
            break
        threading.Event().wait(0.02)
    assert waiting.was_stopped
    worker.client.close()


# A forked one may be done before anybody looks.
@pytest.mark.executed
def test_a_drawing_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    from dashboard.figures.drawing.plans import FigureOversize
    from tests.support.figures import GRID, make_grid, make_movie, to_png

    with pytest.raises(FigureOversize, match="longer than 0 seconds"):
        process.draw_figure(make_movie("gif"), [to_png(make_grid(1, GRID))], tmp_path, seconds=0)


def test_a_drawing_knows_no_secret_of_the_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANVAS_TOKEN", "a-secret")
    assert "a-secret" not in process._environment(tmp_path).values()


def test_a_name_in_another_script_reaches_the_reader_in_a_header(client: TestClient, worker: FakeWorker) -> None:
    worker.submit(name="größe β=1")
    worker.claim()
    worker.train(100)
    response = client.get(f"/figures/curves.csv?run={worker.job_id}")
    assert response.headers["content-disposition"] == (
        "attachment; filename=\"gr__e _=1-curves.csv\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%CE%B2%3D1-curves.csv"
    )
