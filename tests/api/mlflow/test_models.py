"""Logged models, registered models, versions, stages and aliases; and sources that are not one's own."""

import json

import pytest

from tests.api.mlflow.conftest import FILES, START, Mlflow

MISSING, REFUSED = (404, "RESOURCE_DOES_NOT_EXIST"), (400, "INVALID_PARAMETER_VALUE")


def log_model(mlflow: Mlflow, experiment: str, run: str, name: str = "model") -> str:
    """Log a model as MLflow's client does; returns its id."""
    body = {"experiment_id": experiment, "name": name, "source_run_id": run, "tags": [{"key": "a", "value": "b"}]}
    model: str = mlflow.post("logged-models", **body)["model"]["info"]["model_id"]
    mlflow.post("runs/outputs", run_id=run, models=[{"model_id": model, "step": 3}])
    mlflow.upload(f"{experiment}/models/{model}/artifacts/MLmodel", name.encode())
    mlflow.patch(f"logged-models/{model}", model_id=model, status="LOGGED_MODEL_READY")
    return model


def test_a_model_is_logged_read_and_loaded(any_mlflow: Mlflow) -> None:
    number = any_mlflow.create_experiment()
    run = any_mlflow.create_run(number)
    model = log_model(any_mlflow, number, run)
    info = any_mlflow.get(f"logged-models/{model}")["model"]["info"]
    assert (info["status"], info["source_run_id"], info["name"]) == ("LOGGED_MODEL_READY", run, "model")
    assert info["artifact_uri"] == f"mlflow-artifacts:/{number}/models/{model}/artifacts"
    assert any_mlflow.list_files(f"{number}/models/{model}/artifacts") == [("MLmodel", 5)]
    assert any_mlflow.client.get(f"{FILES}/{number}/models/{model}/artifacts/MLmodel").content == b"model"
    listed = any_mlflow.get(f"logged-models/{model}/artifacts/directories")
    assert listed["files"] == [{"path": "MLmodel", "is_dir": False, "file_size": 5}]
    assert any_mlflow.read_run(run)["outputs"] == {"model_outputs": [{"model_id": model, "step": 3}]}


def test_what_is_known_of_a_model_changes(mlflow: Mlflow, experiment: str, run: str) -> None:
    model = log_model(mlflow, experiment, run)
    mlflow.post(f"logged-models/{model}/params", params=[{"key": "p", "value": "1"}])
    mlflow.patch(f"logged-models/{model}/tags", tags=[{"key": "z", "value": "1"}])
    mlflow.delete(f"logged-models/{model}/tags/a")
    mlflow.post("runs/log-metric", run_id=run, key="fid", value=9.5, timestamp=START, step=2, model_id=model)
    shown = mlflow.get(f"logged-models/{model}")["model"]
    assert shown["info"]["tags"] == [{"key": "z", "value": "1"}]
    point = {"key": "fid", "value": 9.5, "timestamp": START, "step": 2, "model_id": model, "run_id": run}
    assert shown["data"] == {"params": [{"key": "p", "value": "1"}], "metrics": [point]}
    assert mlflow.fails("DELETE", f"logged-models/{model}/tags/a")[:2] == MISSING
    mlflow.delete(f"logged-models/{model}")
    assert mlflow.fails("GET", f"logged-models/{model}")[:2] == MISSING
    assert mlflow.get(f"logged-models/{model}", allow_deleted="true")["model"]["info"]["model_id"] == model
    assert mlflow.client.get(f"{FILES}/{experiment}/models/{model}/artifacts/MLmodel").status_code == 404


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"filter": "name = 'two'"}, ["two"]),
        ({"filter": "metrics.fid < 5"}, ["two"]),
        ({"filter": "tags.a = 'b' AND name LIKE 'o%'"}, ["one"]),
        ({"filter": "name IN ('one', 'x')"}, ["one"]),
        ({"filter": "status = 'READY'"}, ["two", "one"]),
        ({"filter": "creation_time > 5"}, ["two", "one"]),
        ({"order_by": [{"field_name": "metrics.fid", "ascending": False}]}, ["one", "two"]),
        ({"order_by": [{"field_name": "name", "ascending": True}]}, ["one", "two"]),
        ({"datasets": [{"dataset_name": "ds"}]}, ["two"]),
        ({"datasets": [{"dataset_name": "ds", "dataset_digest": "other"}]}, []),
    ],
)
def test_models_are_found(
    mlflow: Mlflow, experiment: str, run: str, body: dict[str, object], names: list[str]
) -> None:
    for name, value in (("one", 9.0), ("two", 4.0)):
        model = log_model(mlflow, experiment, run, name)
        point = {"key": "fid", "value": value, "timestamp": START, "step": 0, "model_id": model}
        dataset = {"dataset_name": "ds", "dataset_digest": "d0"} if name == "two" else {}
        mlflow.post("runs/log-batch", run_id=run, metrics=[{**point, **dataset}])
    found = mlflow.post("logged-models/search", experiment_ids=[experiment], **body).get("models", [])
    # Both may have been made in one millisecond.
    in_order = "order_by" in body
    shown = [model["info"]["name"] for model in found]
    assert (shown if in_order else sorted(shown)) == (names if in_order else sorted(names))


def test_a_page_of_models_is_of_one_search(mlflow: Mlflow, experiment: str, run: str) -> None:
    for name in "abc":
        log_model(mlflow, experiment, run, name)
    asked = {"experiment_ids": [experiment], "max_results": 2, "order_by": [{"field_name": "name"}]}
    first = mlflow.post("logged-models/search", **asked)
    token = first["next_page_token"]
    second = mlflow.post("logged-models/search", **asked, page_token=token)
    assert [model["info"]["name"] for model in (*first["models"], *second["models"])] == ["a", "b", "c"]
    other = {**asked, "filter": "name = 'a'", "page_token": token}
    assert mlflow.fails("POST", "logged-models/search", **other)[:2] == REFUSED


def register(mlflow: Mlflow, name: str, **body: object) -> str:
    if mlflow.client.get("/api/2.0/mlflow/registered-models/get", params={"name": name}).status_code == 404:
        mlflow.post("registered-models/create", name=name)
    version: str = mlflow.post("model-versions/create", name=name, **body)["model_version"]["version"]
    return version


def test_versions_move_through_stages_and_aliases(any_mlflow: Mlflow) -> None:
    number = any_mlflow.create_experiment()
    model = log_model(any_mlflow, number, any_mlflow.create_run(number))
    versions = [register(any_mlflow, "gan", source=f"models:/{model}", model_id=model) for _ in range(3)]
    assert versions == ["1", "2", "3"]
    any_mlflow.post("registered-models/alias", name="gan", alias="best", version="2")
    best = any_mlflow.get("registered-models/alias", name="gan", alias="best")["model_version"]
    assert (best["version"], best["aliases"], best["current_stage"]) == ("2", ["best"], "None")
    newest = any_mlflow.get("registered-models/alias", name="gan", alias="latest")["model_version"]
    assert newest["version"] == "3"
    for version in "12":
        stage = {"name": "gan", "version": version, "stage": "production", "archive_existing_versions": True}
        any_mlflow.post("model-versions/transition-stage", **stage)
    latest = any_mlflow.post("registered-models/get-latest-versions", name="gan")["model_versions"]
    stages = {each["current_stage"]: each["version"] for each in latest}
    assert stages == {"Archived": "1", "Production": "2", "None": "3"}
    place = any_mlflow.get("model-versions/get-download-uri", name="gan", version="2")
    assert place == {"artifact_uri": f"mlflow-artifacts:/{number}/models/{model}/artifacts"}
    any_mlflow.delete("model-versions/delete", name="gan", version="2")
    assert any_mlflow.fails("GET", "model-versions/get", name="gan", version="2")[:2] == MISSING
    assert any_mlflow.fails("GET", "registered-models/alias", name="gan", alias="best")[:2] == REFUSED
    # A number is never used again.
    any_mlflow.delete("model-versions/delete", name="gan", version="3")
    assert register(any_mlflow, "gan", source=f"models:/{model}", model_id=model) == "4"
    tagged = any_mlflow.get(f"logged-models/{model}")["model"]["info"]["tags"]
    noted = next(tag["value"] for tag in tagged if tag["key"] == "mlflow.modelVersions")
    assert [each["version"] for each in json.loads(noted)] == [1, 2, 3, 4]


def test_a_registered_model_is_renamed_described_tagged_and_deleted(any_mlflow: Mlflow) -> None:
    body = {"name": "gan", "description": "d", "tags": [{"key": "a", "value": "b"}]}
    assert any_mlflow.post("registered-models/create", **body)["registered_model"]["description"] == "d"
    assert any_mlflow.fails("POST", "registered-models/create", name="gan")[1] == "RESOURCE_ALREADY_EXISTS"
    register(any_mlflow, "gan", source="s3://bucket/model", description="v", tags=[{"key": "q", "value": "w"}])
    any_mlflow.patch("registered-models/update", name="gan", description="e")
    any_mlflow.post("registered-models/set-tag", name="gan", key="x", value="y")
    any_mlflow.delete("registered-models/delete-tag", name="gan", key="a")
    any_mlflow.patch("model-versions/update", name="gan", version="1", description="w")
    any_mlflow.post("model-versions/set-tag", name="gan", version="1", key="k", value="v")
    any_mlflow.delete("model-versions/delete-tag", name="gan", version="1", key="q")
    any_mlflow.post("registered-models/create", name="taken")
    assert any_mlflow.fails("POST", "registered-models/rename", name="gan", new_name="taken")[0] == 400
    any_mlflow.post("registered-models/rename", name="gan", new_name="dcgan")
    shown = any_mlflow.get("registered-models/get", name="dcgan")["registered_model"]
    assert (shown["description"], shown["tags"]) == ("e", [{"key": "x", "value": "y"}])
    version = any_mlflow.get("model-versions/get", name="dcgan", version="1")["model_version"]
    assert (version["description"], version["tags"]) == ("w", [{"key": "k", "value": "v"}])
    any_mlflow.delete("registered-models/delete", name="dcgan")
    assert any_mlflow.fails("GET", "registered-models/get", name="dcgan")[:2] == MISSING
    assert any_mlflow.get("model-versions/search") == {}


@pytest.mark.parametrize(
    ("path", "query", "found"),
    [
        ("registered-models/search", {}, ["a", "gan"]),
        ("registered-models/search", {"filter": "name LIKE 'g%'"}, ["gan"]),
        ("registered-models/search", {"filter": "tags.team = 'x'"}, ["a"]),
        ("registered-models/search", {"order_by": ["name DESC"]}, ["gan", "a"]),
        ("registered-models/search", {"filter": "tags.`mlflow.prompt.is_prompt` = 'true'"}, ["p"]),
        ("model-versions/search", {"filter": "name = 'gan'", "order_by": ["version_number ASC"]}, ["1", "2"]),
        ("model-versions/search", {"filter": "name='gan' and version_number > 1"}, ["2"]),
        ("model-versions/search", {"filter": "tags.q = 'w'"}, ["2"]),
        ("model-versions/search", {"filter": "source_path LIKE 's3:%'"}, ["2", "1"]),
    ],
)
def test_the_registry_is_searched(mlflow: Mlflow, path: str, query: dict[str, str], found: list[str]) -> None:
    mlflow.post("registered-models/create", name="a", tags=[{"key": "team", "value": "x"}])
    mlflow.post("registered-models/create", name="p", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    register(mlflow, "gan", source="s3://bucket/1")
    register(mlflow, "gan", source="s3://bucket/2", tags=[{"key": "q", "value": "w"}])
    answer = mlflow.get(path, **query)
    named = [each["version" if "versions" in path else "name"] for each in next(iter(answer.values()))]
    assert (named if "order_by" in query else sorted(named)) == (found if "order_by" in query else sorted(found))


@pytest.mark.parametrize(
    "source",
    [
        "runs:/{other}/model",
        "runs:/{run}/../x",
        "runs:/{run}/%2e%2e/x",
        "mlflow-artifacts:/{experiment}/{other}/artifacts/model",
        "mlflow-artifacts:/{experiment}/{run}/artifacts/../../x",
        "mlflow-artifacts:/{experiment}/{run}/artifacts/%2e%2e/%2e%2e/x",
        "mlflow-artifacts:/9/{run}/artifacts/model",
        "mlflow-artifacts://evil/{experiment}/{run}/artifacts",
        "mlflow-artifacts:/{experiment}/models/{model}/artifacts",
        "http://localhost/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts",
        "file:///etc/passwd",
        "/etc/passwd",
        "etc/passwd",
        "C:\\secret",
        "models:/none/1",
        "models:/gan/9",
        "models://evil/gan/1",
        "models:/m-00000000000000000000000000000000",
    ],
)
def test_a_version_names_no_files_but_those_of_its_run(
    mlflow: Mlflow, experiment: str, run: str, source: str
) -> None:
    other = mlflow.create_run(experiment, "other")
    model = log_model(mlflow, experiment, other)
    mlflow.post("registered-models/create", name="gan")
    given = source.format(run=run, other=other, experiment=experiment, model=model)
    refused = mlflow.fails("POST", "model-versions/create", name="gan", source=given, run_id=run)
    assert refused[:2] in (MISSING, REFUSED), refused


@pytest.mark.parametrize("source", ["runs:/{run}/model", "mlflow-artifacts:/{experiment}/{run}/artifacts/model"])
def test_a_version_may_name_files_of_its_run(mlflow: Mlflow, experiment: str, run: str, source: str) -> None:
    given = source.format(run=run, experiment=experiment)
    assert register(mlflow, "gan", source=given, run_id=run) == "1"


def test_a_copy_of_a_version_has_its_files(mlflow: Mlflow, experiment: str, run: str) -> None:
    model = log_model(mlflow, experiment, run)
    register(mlflow, "gan", source=f"models:/{model}", model_id=model)
    register(mlflow, "copy", source="models:/gan/1")
    place = mlflow.get("model-versions/get-download-uri", name="copy", version="1")["artifact_uri"]
    assert place == f"mlflow-artifacts:/{experiment}/models/{model}/artifacts"


def test_a_registered_model_outlives_its_run(mlflow: Mlflow, experiment: str, run: str) -> None:
    from api.jobs.edits import list_purgeable, purge_job

    kept, gone = log_model(mlflow, experiment, run), log_model(mlflow, experiment, run, "gone")
    register(mlflow, "gan", source=f"models:/{kept}", model_id=kept)
    mlflow.post("runs/delete", run_id=run)
    services = mlflow.client.app.state.services  # type: ignore[attr-defined]
    with services.database.write() as session:
        (job_id,) = list_purgeable(session, -1)
        files = purge_job(session, job_id, -1)
    services.delete_unused_blobs(files)
    address = f"{FILES}/{experiment}/models/{kept}/artifacts/MLmodel"
    assert mlflow.client.get(address).content == b"model"
    # The control: one that no version names goes with its run.
    assert mlflow.fails("GET", f"logged-models/{gone}")[:2] == MISSING


@pytest.mark.parametrize("alias", ["latest", "v1", "a b", "x" * 256])
def test_an_alias_that_means_something_else_is_refused(mlflow: Mlflow, alias: str) -> None:
    register(mlflow, "gan", source="s3://bucket/1")
    assert mlflow.fails("POST", "registered-models/alias", name="gan", alias=alias, version="1")[:2] == REFUSED


@pytest.mark.parametrize("name", ["a/b", "a:b", " ", "..", "x" * 257])
def test_a_model_name_that_is_a_path_is_refused(mlflow: Mlflow, name: str) -> None:
    assert mlflow.fails("POST", "registered-models/create", name=name)[:2] == REFUSED
