"""What the unmodified client of MLflow sees of a server; run in its own environment, it writes it as JSON.

Run: python scenario.py URL answers.json, against a server without experiments of its own. Ids and times are
written as words, so that two servers' answers can be compared. `shapes` holds the fields of every answer on the
wire, by call.
"""

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

URL = sys.argv[1]
# Short waits: what a test asks twice is an error at once.
os.environ |= {
    "MLFLOW_TRACKING_URI": URL,
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "0.05",
    "GIT_PYTHON_REFRESH": "quiet",
    "LOGNAME": "ana",
}
import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import requests  # noqa: E402
from mlflow.entities import Metric, ViewType  # noqa: E402
from mlflow.models import Model  # noqa: E402

USE = "system/cpu_utilization_percentage"
START = 1_796_000_000_000
client = mlflow.MlflowClient()
answers: dict[str, Any] = {}
shapes: dict[str, set[str]] = {}
runs: dict[str, str] = {}
send = requests.Session.send


class Flavor:
    """A kind of model that needs no library: one file of weights."""

    __name__ = "flavor"

    @staticmethod
    def save_model(path: str, mlflow_model: Any, **_: Any) -> None:
        Path(path).mkdir(exist_ok=True)
        Path(path, "weights.bin").write_bytes(b"w" * 100)
        mlflow_model.add_flavor("own", data="weights.bin")
        mlflow_model.save(str(Path(path, "MLmodel")))


def list_fields(value: Any, path: str = "") -> list[str]:
    """Return the path and kind of every field of an answer."""
    if isinstance(value, dict):
        return [field for name, part in value.items() for field in list_fields(part, f"{path}.{name}")]
    if isinstance(value, list):
        return [field for part in value for field in list_fields(part, f"{path}[]")]
    return [f"{path}: {type(value).__name__}"]


def plain(text: str) -> str:
    """Return a text with words for what differs from server to server."""
    text = re.sub(r"timestamp\+\d+\+[0-9a-f-]{36}", "timestamp+TIME+ID", text)
    return re.sub(r"\b1[78]\d{11}\b", "TIME", re.sub(r"(?<![0-9a-f])[0-9a-f]{32}\b", "ID", text))


def settle(value: Any) -> Any:
    """Return a value as JSON can hold it, with words for ids and times."""
    if isinstance(value, dict):
        # Where the script lies, and in which repository, is not the server's answer.
        kept = {key: part for key, part in value.items() if not str(key).startswith("mlflow.source.")}
        return {plain(str(key)): settle(part) for key, part in kept.items()}
    if isinstance(value, list | tuple):
        return [settle(part) for part in value]
    if value is None or isinstance(value, bool | float):
        return str(value) if value != value else value
    if isinstance(value, int):
        is_given = START <= value < START + 100_000
        return "TIME" if 10**12 < value < 10**13 and not is_given else value
    return plain(str(value))


def record(session: requests.Session, request: Any, **options: Any) -> Any:
    """Send a request, and keep the fields of its answer."""
    response = send(session, request, **options)
    is_json = response.headers.get("content-type", "").startswith("application/json")
    path = plain(request.path_url.partition("?")[0])
    key = f"{request.method} {re.sub(r'/[0-9]+(?=/)', '/N', path)} {response.status_code}"
    if "/images/" not in key and "-artifacts/artifacts/" not in key:
        shapes.setdefault(key, set()).update(list_fields(response.json() if is_json else {}))
    return response


def step(name: str, call: Callable[[], Any]) -> Any:
    """Keep what a call returns or raises; returns it."""
    try:
        value = call()
    except mlflow.exceptions.MlflowException as error:
        answers[name] = f"{error.error_code}: {plain(str(error)).splitlines()[0][:80]}"
        return None
    answers[name] = settle(value)
    return value


def log_a_run(number: str) -> None:
    """A run with all that a training logs."""
    run = runs["r1"] = mlflow.start_run(run_name="r1").info.run_id
    step("a param", lambda: mlflow.log_param("lr", 0.001))
    step("params", lambda: mlflow.log_params({"a": 1, "b": "x"}) and None)
    step("a metric", lambda: mlflow.log_metric("loss", 0.5, step=1))
    step("no number", lambda: mlflow.log_metric("lossn", float("nan"), step=1))
    step("metrics", lambda: mlflow.log_metrics({"g": 1.0, "d": 2.0}, step=2))
    step("in the background", lambda: mlflow.log_metric("loss", 0.4, step=3, synchronous=False).wait())
    many = [Metric("bulk", float(at), START + at, at) for at in range(3000)]
    step(
        "thousands", lambda: [client.log_batch(run, many[at : at + 1000]) for at in range(0, 3000, 1000)] and None
    )
    step("a tag", lambda: mlflow.set_tag("k", "v"))
    step("tags", lambda: mlflow.set_tags({"k1": "v", "mlflow.note.content": "a note"}) and None)
    step("a tag less", lambda: mlflow.delete_tag("k1"))
    step("no such tag", lambda: mlflow.delete_tag("k1"))
    image = (np.random.RandomState(0).rand(16, 16, 3) * 255).astype("uint8")
    step("a picture", lambda: mlflow.log_image(image, "a.png"))
    step("a picture of a series", lambda: mlflow.log_image(image, key="samples/grid", step=7))
    mlflow.flush_artifact_async_logging()
    step("at once", lambda: mlflow.log_image(image, key="samples/grid", step=8, synchronous=True))
    log_files(run)
    frame = mlflow.data.from_pandas(pd.DataFrame({"a": [1, 2]}), name="ds", source="http://x/y.csv")
    step("a dataset", lambda: [mlflow.log_input(frame, context="training") for _ in range(2)] and None)
    step("a param again", lambda: mlflow.log_param("lr", 0.001))
    step("a param changed", lambda: mlflow.log_param("lr", 0.002))
    step("params changed", lambda: mlflow.log_params({"a": 2, "zz": 1}))
    mlflow.end_run()
    step("the run", lambda: mlflow.get_run(run).to_dictionary())
    step(
        "a history", lambda: [(m.value, m.timestamp, m.step) for m in client.get_metric_history(run, "bulk")][-2:]
    )
    step("its length", lambda: len(client.get_metric_history(run, "bulk")))
    step("a short history", lambda: str([(m.value, m.step) for m in client.get_metric_history(run, "lossn")]))
    bulk = f"{URL}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run}&metric_key=bulk"
    for rest in ("&max_results=10", "&max_results=7&start_step=100&end_step=200", "&max_results=1"):
        step(
            f"samples{rest}",
            lambda rest=rest: [m["step"] for m in requests.get(bulk + rest, timeout=60).json()["metrics"]],
        )


def list_artifacts(run: str, path: str | None) -> list[Any]:
    """Return names and sizes; the bytes of small copies of pictures follow the library that made them."""
    found = client.list_artifacts(run, path)
    return [(each.path, each.is_dir, None if path == "images" else each.file_size) for each in found]


def log_files(run: str) -> None:
    """Artifacts, up and down."""
    folder = Path(tempfile.mkdtemp())
    (folder / "f/sub").mkdir(parents=True)
    (folder / "x.txt").write_text("x")
    (folder / "f/x.txt").write_text("x")
    (folder / "f/sub/y.bin").write_bytes(b"y" * 100)
    step("a text", lambda: mlflow.log_text("hi", "t.txt"))
    step("a document", lambda: mlflow.log_dict({"a": 1}, "d.json"))
    step("a file", lambda: mlflow.log_artifact(str(folder / "x.txt"), "some/path"))
    step("a folder", lambda: mlflow.log_artifacts(str(folder / "f"), "folder"))
    step("a table", lambda: [mlflow.log_table({"a": [at]}, "tab.json") for at in (1, 2)] and None)
    for path in (None, "folder", "folder/x.txt", "nothing", "images"):
        step(f"files of {path}", lambda path=path: list_artifacts(run, path))
    down = mlflow.artifacts.download_artifacts
    step("a file down", lambda: Path(down(run_id=run, artifact_path="some/path/x.txt")).read_text())
    step(
        "a folder down", lambda: sorted(p.name for p in Path(down(run_id=run, artifact_path="folder")).rglob("*"))
    )
    step("all down", lambda: len(list(Path(down(run_id=run)).rglob("*"))))
    step("a picture loaded", lambda: int(np.asarray(mlflow.artifacts.load_image(f"runs:/{run}/a.png")).sum()))
    step("a table loaded", lambda: mlflow.load_table("tab.json", run_ids=[run]).to_dict())
    step("no such file", lambda: bool(down(run_id=run, artifact_path="none.txt")))


def search_runs(number: str) -> None:
    """Filters and orders over a few runs."""
    given = [("s0", 0.9, "FINISHED"), ("s1", float("nan"), "FAILED"), ("s2", 0.1, "KILLED"), ("S3", 5.0, None)]
    for at, (name, loss, status) in enumerate(given):
        run = client.create_run(number, START + 1000 * at, {"t": f"Tag_{at}"}, name).info.run_id
        runs[name] = run
        client.log_metric(run, "loss", loss, step=at)
        client.log_param(run, "lr", f"0.{at}")
        if status:
            client.set_terminated(run, status, START + 90_000 + at)

    def find(text: str = "", order: list[str] | None = None, view: int = ViewType.ACTIVE_ONLY) -> list[str]:
        return [run.info.run_name for run in client.search_runs([number], text, view, 100, order)]

    for text in (
        "metrics.loss < 1 and params.lr = '0.001' and tags.k = 'v' and attributes.status = 'FINISHED'",
        "metrics.loss != 0.9", "params.lr LIKE '0._'", "params.lr ILIKE '%1'", "tags.t LIKE 'tag%'",
        "tags.t ILIKE 'tag%'", "attributes.run_name LIKE 's%'", f"start_time > {START + 1500}",
        "params.lr IS NOT NULL", "tags.t IS NULL", "datasets.name = 'ds'", "dataset.context LIKE 'train%'",
        "user_id = 'ana'", "metrics.loss > 'x'", "params.lr = 0.1", "metrics.loss > 1 OR metrics.loss < 2",
    ):  # fmt: skip
        step(f"find {text}", lambda text=text: find(text, ["attributes.run_name"]))
    for order in (["metrics.loss"], ["metrics.loss DESC"], ["params.lr DESC"], ["status", "run_name"], []):
        step(f"order {order}", lambda order=order: find("", order))
    step("pages", lambda: [len(client.search_runs([number], max_results=2, page_token=None))])
    step("a frame", lambda: sorted(mlflow.search_runs([number], "run_name = 'r1'").columns))
    client.delete_run(runs["s0"])
    step("deleted", lambda: client.get_run(runs["s0"]).info.lifecycle_stage)
    step("deleted ones", lambda: find("", None, ViewType.DELETED_ONLY))
    step("a metric of a deleted run", lambda: client.log_metric(runs["s0"], "x", 1))
    step("restored", lambda: client.restore_run(runs["s0"]))
    step("renamed", lambda: client.update_run(runs["S3"], "FINISHED", "S4"))
    step("by its new name", lambda: find("tags.mlflow.runName = 'S4'"))
    step("no run", lambda: client.get_run("0" * 32))


def nest_and_resume(number: str) -> None:
    """Runs in runs, runs that go on, runs that fail, and what a machine does meanwhile."""
    with mlflow.start_run(run_name="parent") as parent, mlflow.start_run(run_name="child", nested=True):
        mlflow.log_metric("m", 1)
    children = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    step("children", lambda: [run.info.run_name for run in client.search_runs([number], children)])
    with mlflow.start_run(run_id=runs["r1"]):
        mlflow.log_metric("loss", 0.3, step=4)
        step("goes on", lambda: client.get_run(runs["r1"]).info.status)
    step("has ended again", lambda: client.get_run(runs["r1"]).info.status)
    try:
        with mlflow.start_run(run_name="boom") as boom:
            raise RuntimeError
    except RuntimeError:
        step("has failed", lambda: client.get_run(boom.info.run_id).info.status)
    with mlflow.start_run(run_name="sys", log_system_metrics=True) as machine:
        while USE not in client.get_run(machine.info.run_id).data.metrics:
            time.sleep(0.05)
    step("of the machine", lambda: client.get_metric_history(machine.info.run_id, USE)[0].step)


def change_experiments(number: str) -> None:
    """Experiments: names, tags, deleted and restored."""
    other = step("another experiment", lambda: client.create_experiment("other", tags={"team": "a"}))
    step("its name again", lambda: bool(client.create_experiment("other")))
    for text in ("name LIKE 'gan%'", "tags.team = 'a'", "name ILIKE 'OTH%'", "foo = 'a'"):
        step(
            f"experiments {text}",
            lambda text=text: [e.name for e in client.search_experiments(filter_string=text)],
        )
    step("a new name", lambda: client.rename_experiment(other, "other2"))
    step("a tag of it", lambda: client.set_experiment_tag(other, "a", "b"))
    run = client.create_run(other).info.run_id
    step("gone", lambda: client.delete_experiment(other))
    step("its run", lambda: client.get_run(run).info.lifecycle_stage)
    step("a run in it", lambda: bool(client.create_run(other)))
    step("back", lambda: client.restore_experiment(other))
    step("it", lambda: dict(client.get_experiment(other)))
    step("no experiment", lambda: client.get_experiment("999"))


def log_models(number: str) -> None:
    """Logged and registered models, loaded again."""
    with mlflow.start_run(run_name="mdl") as run:
        info = Model.log(None, Flavor, name="model", registered_model_name="gan-gc", await_registration_for=0)
        mlflow.log_metric("fid", 9.0, model_id=info.model_id, step=1)
    model = info.model_id
    down = mlflow.artifacts.download_artifacts
    for uri in (f"models:/{model}", "models:/gan-gc/1", f"runs:/{run.info.run_id}/model"):
        step(f"files of {plain(uri)}", lambda uri=uri: sorted(p.name for p in Path(down(uri)).iterdir()))
    step("the model", lambda: mlflow.get_logged_model(model).to_dictionary())
    step("its run's outputs", lambda: client.get_run(run.info.run_id).outputs.to_dictionary())
    for text in ("name = 'model'", "metrics.fid < 10", "metrics.fid > 10", "tags.`mlflow.user` = 'ana'"):
        asked = {"experiment_ids": [number], "filter_string": text, "output_format": "list"}
        step(f"models {text}", lambda asked=asked: [each.name for each in mlflow.search_logged_models(**asked)])
    step("an alias", lambda: client.set_registered_model_alias("gan-gc", "best", "1"))
    step("by alias", lambda: sorted(p.name for p in Path(down("models:/gan-gc@best")).iterdir()))
    step(
        "a second version",
        lambda: client.create_model_version("gan-gc", f"models:/{model}", model_id=model).version,
    )
    step("a stage", lambda: client.transition_model_version_stage("gan-gc", "1", "production").current_stage)
    step("newest", lambda: sorted((v.version, v.current_stage) for v in client.get_latest_versions("gan-gc")))
    step("a version", lambda: dict(client.get_model_version("gan-gc", "1")))
    step("a copy", lambda: client.copy_model_version("models:/gan-gc/1", "copy").version)
    step("versions", lambda: sorted((v.name, v.version) for v in client.search_model_versions()))
    step("registered", lambda: sorted(m.name for m in client.search_registered_models("name LIKE 'gan%'")))
    step("a version less", lambda: client.delete_model_version("gan-gc", "2"))
    step("no version", lambda: client.get_model_version("gan-gc", "2"))
    step(
        "of another run",
        lambda: bool(client.create_model_version("copy", f"runs:/{runs['r1']}/m", run.info.run_id)),
    )
    step("a registered model less", lambda: client.delete_registered_model("copy"))
    step("no registered model", lambda: client.get_registered_model("copy"))


def main() -> None:
    requests.Session.send = record  # type: ignore[method-assign]
    number = mlflow.set_experiment("gan-exp3").experiment_id
    for part in (log_a_run, search_runs, nest_and_resume, change_experiments, log_models):
        part(number)
    found = {"answers": answers, "shapes": {key: sorted(fields) for key, fields in shapes.items()}}
    Path(sys.argv[2]).write_text(json.dumps(found, sort_keys=True, indent=0))


main()
