"""Runs of MLflow 3.17 come in from its file store, its database and its server."""

import json
import math
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import numpy as np
import pytest

from ganvas.exchange.incoming import mlflow_server
from ganvas.exchange.incoming.mlflow import find_runs
from ganvas.exchange.incoming.mlflow_run import read_param
from ganvas.exchange.records import SourceRun, SourceUnreadable
from tests.ganvas.exchange.reading import FILES, STEPS, Written, draw, import_run

STORE = FILES / "mlflow" / "mlruns"


def check(run: Written) -> None:
    assert run.points["loss/D"] == [(step, 1 / (step + 3)) for step in STEPS]
    assert run.points["loss_G"] == [(step, math.exp(-step / 30)) for step in STEPS]
    nan, *infinite = run.points["not finite"]
    assert math.isnan(nan[1])
    assert infinite == [(1, math.inf), (2, -math.inf)]
    assert run.header["config"] == {"lr": 2e-4, "loss": "hinge", "seed": 7, "augment": True}
    assert run.header["note"] == "A first try."
    assert (run.header["tags"], run.header["origin"]) == (["gan", "team:a"], "mlflow")
    assert run.end is not None
    assert run.end["end"] == "succeeded"


def by_name(runs: Iterator[SourceRun]) -> dict[str, SourceRun]:
    return {run.name: run for run in runs}


def test_a_file_store_comes_in_whole_and_once(tmp_path: Path) -> None:
    runs = by_name(find_runs(STORE))
    assert set(runs) == {"dcgan-mnist", "broken"}
    run, imported = import_run(runs["dcgan-mnist"], tmp_path / "run")
    check(run)
    assert not imported.losses
    assert list(run.grids) == [0, 50]
    assert all(np.array_equal(run.cells(step), draw(step)[0][None]) for step in (0, 50))
    # Pictures that are numbered by their names are a series, other artifacts are files; thumbnails are left out.
    assert set(run.files) == {"images/real/00000000.png", "images/real/00000050.png", "notes/a.txt"}
    assert run.files["notes/a.txt"] == b"hello"
    broken, _ = import_run(runs["broken"], tmp_path / "broken")
    assert broken.end is not None
    assert (broken.end["end"], broken.points) == ("failed", {"a": [(0, 1.0)]})
    assert import_run(by_name(find_runs(STORE))["dcgan-mnist"], tmp_path / "run")[1].new_events == 0


def test_lines_of_metrics_that_are_damaged_are_counted(tmp_path: Path) -> None:
    store = Path(shutil.copytree(STORE, tmp_path / "mlruns"))
    (metric,) = store.rglob("metrics/loss_G")
    metric.write_text(metric.read_text() + "17960867")
    run, imported = import_run(by_name(find_runs(store))["dcgan-mnist"], tmp_path / "run")
    check(run)
    assert imported.losses.sentences() == ["lines of metrics that cannot be read: 1 (loss_G, line 11)"]


def make_database(path: Path, artifacts: str | None = None) -> Path:
    connection = sqlite3.connect(path)
    script = (FILES / "mlflow" / "mlflow.sql").read_text(encoding="utf-8")
    connection.executescript(script if artifacts is None else script.replace("file:///gone", artifacts))
    connection.close()
    return path


def test_a_database_comes_in_with_its_infinities(tmp_path: Path) -> None:
    runs = by_name(find_runs(make_database(tmp_path / "mlflow.db")))
    run, imported = import_run(runs["dcgan-mnist"], tmp_path / "run")
    check(run)
    assert not imported.losses


def test_artifacts_are_found_beside_a_database_that_was_moved(tmp_path: Path) -> None:
    database = make_database(tmp_path / "mlflow.db")
    run_id = by_name(find_runs(database))["dcgan-mnist"].identity.decode()
    (artifacts,) = STORE.glob("*/*/artifacts/images")
    shutil.copytree(artifacts.parent, tmp_path / "mlruns" / "1" / run_id / "artifacts")
    run, _ = import_run(by_name(find_runs(tmp_path))["dcgan-mnist"], tmp_path / "run")
    assert list(run.grids) == [0, 50]


def test_a_database_cannot_have_another_folder_read(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_bytes(b"secret")
    database = make_database(tmp_path / "mlflow.db")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", [str(tmp_path / "secrets")])
    connection.close()
    run, _ = import_run(by_name(find_runs(database))["dcgan-mnist"], tmp_path / "run")
    assert run.files == {}
    # Control: a folder that is called as MLflow calls a run's is read.
    run_id = by_name(find_runs(database))["dcgan-mnist"].identity.decode()
    (tmp_path / run_id).mkdir()
    (tmp_path / "secrets").rename(tmp_path / run_id / "artifacts")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", [str(tmp_path / run_id / "artifacts")])
    connection.close()
    run, _ = import_run(by_name(find_runs(database))["dcgan-mnist"], tmp_path / "own")
    assert run.files == {"key": b"secret"}


def test_a_param_is_a_number_where_its_text_was_one() -> None:
    texts = ["7", "0.0002", "2e-04", "True", "hinge", "007", "nan", ""]
    assert [read_param(text) for text in texts][:6] == [7, 0.0002, "2e-04", True, "hinge", "007"]
    assert read_param("") == ""


PNG_NAME = "images/samples+step+50+timestamp+1796086398729+a.png"


class FakeServer:
    """Answers as MLflow's server does, in pages of two."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.path.removeprefix("/api/2.0/mlflow/")
        query = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        if request.method == "POST":
            query = json.loads(request.content)
        if path == "/get-artifact":
            return self.artifact(query["path"])
        return httpx.Response(200, json=self.answer(path, query))

    def artifact(self, path: str) -> httpx.Response:
        if path == PNG_NAME:
            return httpx.Response(200, content=next(STORE.rglob("samples*step+50*.png")).read_bytes())
        return httpx.Response(500, text="gone")

    def answer(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        if path == "experiments/search":
            return {"experiments": [{"experiment_id": "1", "name": "gan"}]}
        if path == "runs/search":
            info = {"run_id": "r1", "run_name": "served", "experiment_id": "1", "status": "RUNNING",
                    "start_time": 1796086398683}  # fmt: skip
            data = {"metrics": [{"key": "loss", "value": 0.5}], "params": [{"key": "lr", "value": "0.1"}]}
            return {"runs": [{"info": info, "data": data}]}
        if path == "metrics/get-history":
            first = int(query.get("page_token", 0))
            points = [
                {
                    "key": "loss",
                    "value": "NaN" if step == 0 else 1 / step,
                    "timestamp": "1796086398700",
                    "step": str(step),
                }
                for step in range(first, first + 2)
            ]
            return {"metrics": points, "next_page_token": str(first + 2) if first < 4 else ""}
        if query.get("path") == "images":
            return {"files": [{"path": PNG_NAME, "is_dir": False}]}
        return {"files": [{"path": "images", "is_dir": True}, {"path": "gone.bin", "is_dir": False}]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    monkeypatch.setattr(mlflow_server.httpx, "HTTPTransport", lambda **_: httpx.MockTransport(fake))
    return fake


def test_a_server_gives_every_page_of_a_metric(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    (source,) = mlflow_server.find_runs("http://mlflow.test/")
    run, imported = import_run(source, tmp_path / "run")
    assert run.points["loss"][1:] == [(step, 1 / step) for step in range(1, 6)]
    assert math.isnan(run.points["loss"][0][1])
    assert np.array_equal(run.cells(50), draw(50))
    assert run.header["config"] == {"lr": 0.1}
    # It still runs: an import after its end adds the rest.
    assert run.end is None
    assert imported.losses.sentences()[0].startswith("artifacts that the server does not give: 1 (gone.bin")
    assert {request.headers["authorization"] for request in server.asked} == {"Bearer secret"}


def test_a_server_that_is_no_mlflow_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(404, text="<html>"))
    monkeypatch.setattr(mlflow_server.httpx, "HTTPTransport", lambda **_: transport)
    with pytest.raises(SourceUnreadable, match="answered 404"):
        list(mlflow_server.find_runs("http://mlflow.test"))


def test_a_server_without_runs_says_so(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = server.answer
    monkeypatch.setattr(server, "answer", lambda path, query: {} if path == "runs/search" else whole(path, query))
    with pytest.raises(SourceUnreadable, match="has no runs; its experiments are gan"):
        list(mlflow_server.find_runs("http://mlflow.test"))
