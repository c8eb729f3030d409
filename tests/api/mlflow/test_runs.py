"""Runs: an MLflow run is a job like any other, from its creation to its end, and after."""

import json

from tests.api.mlflow.conftest import START, Mlflow

REFUSED = (400, "INVALID_PARAMETER_VALUE")


def test_a_run_is_a_job_of_its_name_with_its_code_and_its_tags(mlflow: Mlflow, experiment: str) -> None:
    tags = {
        "mlflow.user": "ana",
        "mlflow.source.name": "train.py",
        "mlflow.source.git.commit": "ab" * 20,
        "k": "v",
    }
    tags["mlflow.note.content"] = "the sharpest"
    run = mlflow.create_run(experiment, tags=[{"key": key, "value": value} for key, value in tags.items()])
    job = mlflow.find_job(run)
    assert (job["name"], job["origin"], job["state"], job["note"]) == ("r1", "mlflow", "running", "the sharpest")
    assert job["tags"] == ["gan", "k=v"]
    (attempt,) = job["attempts"]
    assert (attempt["provenance"]["commit"], attempt["provenance"]["command"]) == ("ab" * 20, "train.py")
    assert attempt["worker"] == "ana (MLflow)"


def test_a_run_answers_with_mlflows_fields(mlflow: Mlflow, experiment: str) -> None:
    run = mlflow.create_run(experiment)
    assert mlflow.read_run(run) == {
        "info": {
            "run_uuid": run,
            "run_id": run,
            "run_name": "r1",
            "experiment_id": experiment,
            "user_id": "ana",
            "status": "RUNNING",
            "start_time": START,
            "artifact_uri": f"mlflow-artifacts:/{experiment}/{run}/artifacts",
            "lifecycle_stage": "active",
        },
        "data": {"tags": [{"key": "mlflow.runName", "value": "r1"}]},
        "inputs": {},
        "outputs": {},
    }


def test_a_run_without_a_name_gets_one(mlflow: Mlflow, experiment: str) -> None:
    info = mlflow.post("runs/create", experiment_id=experiment)["run"]["info"]
    assert len(info["run_name"].split("-")) == 3


def test_two_names_that_differ_are_refused(mlflow: Mlflow, experiment: str) -> None:
    tags = [{"key": "mlflow.runName", "value": "other"}]
    asked = {"experiment_id": experiment, "run_name": "r1", "tags": tags}
    assert mlflow.fails("POST", "runs/create", **asked)[:2] == REFUSED


def test_a_run_ends_when_its_client_says_so_and_may_go_on(mlflow: Mlflow, run: str) -> None:
    ended = mlflow.post("runs/update", run_uuid=run, run_id=run, status="FINISHED", end_time=START + 61_000)
    assert (ended["run_info"]["status"], ended["run_info"]["end_time"]) == ("FINISHED", START + 61_000)
    job = mlflow.find_job(run)
    assert (job["state"], job["ended_at"]) == ("succeeded", "2026-11-30T11:52:24.510000Z")
    mlflow.post("runs/update", run_id=run, status="RUNNING")
    assert (mlflow.read_run(run)["info"]["status"], mlflow.find_job(run)["state"]) == ("RUNNING", "running")
    mlflow.post("runs/update", run_id=run, status="FAILED")
    assert mlflow.find_job(run)["reason"]["code"] == "mlflow_failed"
    mlflow.post("runs/update", run_id=run, status="KILLED")
    assert mlflow.find_job(run)["state"] == "cancelled"


def test_a_run_that_a_person_cancels_shows_it_in_mlflow_too(mlflow: Mlflow, run: str) -> None:
    mlflow.client.post(f"/jobs/{mlflow.find_job(run)['id']}/cancel")
    assert mlflow.read_run(run)["info"]["status"] == "KILLED"


def test_a_metric_after_the_end_is_kept(mlflow: Mlflow, run: str) -> None:
    mlflow.post("runs/update", run_id=run, status="FINISHED")
    mlflow.log_metric(run, "late", 1.0)
    assert mlflow.read_run(run)["data"]["metrics"][0]["key"] == "late"


def test_a_run_gets_another_name_by_update_or_by_its_tag(mlflow: Mlflow, run: str) -> None:
    mlflow.post("runs/update", run_id=run, run_name="second")
    assert mlflow.find_job(run)["name"] == "second"
    mlflow.post("runs/set-tag", run_id=run, key="mlflow.runName", value="third\n" + "x" * 200)
    assert mlflow.read_run(run)["info"]["run_name"] == "third\n" + "x" * 200
    assert mlflow.client.get("/jobs").json()["items"][0]["name"] == "third " + "x" * 94


def test_a_deleted_run_is_hidden_refuses_writes_and_comes_back(any_mlflow: Mlflow) -> None:
    number = any_mlflow.create_experiment()
    run = any_mlflow.create_run(number)
    any_mlflow.post("runs/delete", run_id=run)
    assert any_mlflow.read_run(run)["info"]["lifecycle_stage"] == "deleted"
    assert any_mlflow.search(number) == []
    assert any_mlflow.search(number, run_view_type="DELETED_ONLY") == ["r1"]
    assert any_mlflow.search(number, run_view_type="ALL") == ["r1"]
    message = f"The run {run} must be in the 'active' state. Current state is deleted."
    metric = {"run_id": run, "key": "a", "value": 1, "timestamp": 1}
    assert any_mlflow.fails("POST", "runs/log-metric", **metric) == (*REFUSED, message)
    for path in ("log-parameter", "set-tag"):
        assert any_mlflow.fails("POST", f"runs/{path}", run_id=run, key="a", value="1") == (*REFUSED, message)
    assert any_mlflow.fails("POST", "runs/update", run_id=run, status="FINISHED") == (*REFUSED, message)
    any_mlflow.post("runs/restore", run_id=run)
    assert any_mlflow.search(number) == ["r1"]
    any_mlflow.log_metric(run, "a", 1)


def test_a_job_that_is_purged_takes_all_that_mlflow_knows_of_it(any_mlflow: Mlflow) -> None:
    number = any_mlflow.create_experiment()
    run = any_mlflow.create_run(number, tags=[{"key": "k", "value": "v"}])
    any_mlflow.log_metric(run, "a", 1)
    any_mlflow.post("runs/log-parameter", run_id=run, key="p", value="1")
    any_mlflow.upload(f"{number}/{run}/artifacts/a.txt", b"bytes")
    dataset = {"name": "d", "digest": "1", "source_type": "code", "source": "{}"}
    any_mlflow.post("runs/log-inputs", run_id=run, datasets=[{"tags": [], "dataset": dataset}])
    model = any_mlflow.post("logged-models", experiment_id=number, name="m", source_run_id=run)["model"]["info"]
    any_mlflow.upload(f"{number}/models/{model['model_id']}/artifacts/MLmodel", b"model")
    any_mlflow.post("runs/delete", run_id=run)
    services = any_mlflow.client.app.state.services  # type: ignore[attr-defined]
    with services.database.write() as session:
        from api.jobs.edits import list_purgeable, purge_job

        (job_id,) = list_purgeable(session, -1)
        files = purge_job(session, job_id, -1)
    assert len(files) == 2
    services.delete_unused_blobs(files)
    assert not any(map(services.blobs.exists, files))
    assert any_mlflow.fails("GET", "runs/get", run_id=run)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    assert any_mlflow.fails("GET", f"logged-models/{model['model_id']}")[0] == 404


def test_datasets_are_shown_once_and_found(any_mlflow: Mlflow) -> None:
    number = any_mlflow.create_experiment()
    run = any_mlflow.create_run(number)
    dataset = {"name": "ds", "digest": "d0", "source_type": "code", "source": "{}", "schema": "s", "profile": "p"}
    given = {"tags": [{"key": "mlflow.data.context", "value": "training"}], "dataset": dataset}
    for _ in range(2):
        any_mlflow.post("runs/log-inputs", run_id=run, datasets=[given])
    assert any_mlflow.read_run(run)["inputs"] == {"dataset_inputs": [given]}
    for text in ("datasets.name = 'ds'", "dataset.context LIKE 'tr%'", "dataset.digest IN ('d0', 'x')"):
        assert any_mlflow.search(number, text) == ["r1"]
    assert any_mlflow.search(number, "dataset.name = 'other'") == []
    summary = {"experiment_id": number, "name": "ds", "digest": "d0", "context": "training"}
    found = any_mlflow.post("experiments/search-datasets", experiment_ids=[number])
    assert found == {"dataset_summaries": [summary]}


def test_a_client_before_mlflow_3_notes_its_models_in_a_tag(mlflow: Mlflow, run: str) -> None:
    model = {"run_id": run, "artifact_path": "m", "utc_time_created": "2026", "flavors": {}, "signature": {}}
    mlflow.post("runs/log-model", run_id=run, model_json=json.dumps(model))
    tags = {tag["key"]: tag["value"] for tag in mlflow.read_run(run)["data"]["tags"]}
    assert json.loads(tags["mlflow.log-model.history"])[0]["artifact_path"] == "m"
    assert mlflow.fails("POST", "runs/log-model", run_id=run, model_json="{}")[:2] == REFUSED


def test_mlflows_id_names_the_job_in_ganvas_too(any_mlflow: Mlflow) -> None:
    run = any_mlflow.create_run(any_mlflow.create_experiment())
    assert any_mlflow.client.get(f"/jobs/{run}").json()["name"] == "r1"
    assert (
        any_mlflow.client.get(f"/jobs/{run[:-1]}0" if run[-1] != "0" else f"/jobs/{run[:-1]}1").status_code == 404
    )
