"""Metrics: every point is kept with its time and step, and the pages draw it; params are written once."""

import pytest

from tests.api.mlflow.conftest import START, Mlflow

REFUSED = (400, "INVALID_PARAMETER_VALUE")


def history(mlflow: Mlflow, run: str, key: str, **query: object) -> list[tuple[object, int, int]]:
    points = mlflow.get("metrics/get-history", run_id=run, metric_key=key, **query).get("metrics", [])
    return [(point["value"], point["timestamp"] - START, point["step"]) for point in points]


def test_points_become_a_curve_of_the_job(mlflow: Mlflow, run: str) -> None:
    for step, value in ((1, 0.5), (3, "NaN"), (2, 0.25)):
        mlflow.log_metric(run, "loss D", value, step)
    job = mlflow.find_job(run)
    (curve,) = mlflow.client.get(f"/jobs/{job['id']}/metrics").json()["curves"]
    assert (curve["name"], curve["iterations"]) == ("loss D", [1, 2, 3])
    assert curve["values"] == [0.5, 0.25, "nan"]
    assert job["iteration"] == 3


def test_the_newest_point_is_that_of_the_last_step_then_time_then_value(any_mlflow: Mlflow) -> None:
    run = any_mlflow.create_run(any_mlflow.create_experiment())
    points = [(1.0, 1, 5), (2.0, 1, 4), (2.5, 1, 5), (3.0, 0, 9), (2.0, 1, 5)]
    for value, step, late in points:
        any_mlflow.log_metric(run, "m", value, step, START + late)
    newest = {"key": "m", "value": 2.5, "timestamp": START + 5, "step": 1}
    assert any_mlflow.read_run(run)["data"]["metrics"] == [newest]
    whole = [(2.0, 4, 1), (1.0, 5, 1), (2.0, 5, 1), (2.5, 5, 1), (3.0, 9, 0)]
    assert history(any_mlflow, run, "m") == whole


def test_a_point_that_is_sent_twice_is_kept_once(mlflow: Mlflow, run: str) -> None:
    for _ in range(2):
        mlflow.log_metric(run, "m", 1.0, 1)
    assert history(mlflow, run, "m") == [(1.0, 0, 1)]


@pytest.mark.parametrize(("sent", "shown"), [("NaN", "NaN"), ("Infinity", "Infinity"), ("-Infinity", "-Infinity")])
def test_what_is_no_finite_number_comes_back_as_it_was(any_mlflow: Mlflow, sent: str, shown: str) -> None:
    run = any_mlflow.create_run(any_mlflow.create_experiment())
    any_mlflow.log_metric(run, "m", sent)
    assert history(any_mlflow, run, "m") == [(shown, 0, 0)]
    assert any_mlflow.read_run(run)["data"]["metrics"][0]["value"] == shown


def test_a_batch_is_stored_whole_or_not_at_all(mlflow: Mlflow, run: str) -> None:
    mlflow.post("runs/log-parameter", run_id=run, key="lr", value="1")
    metrics = [{"key": "m", "value": step, "timestamp": START, "step": step} for step in range(1000)]
    changed = {"params": [{"key": "lr", "value": "2"}], "metrics": metrics}
    assert mlflow.fails("POST", "runs/log-batch", run_id=run, **changed)[:2] == REFUSED
    assert history(mlflow, run, "m") == []
    both = {"metrics": metrics, "params": [], "tags": []}
    mlflow.post("runs/log-batch", run_id=run, **both)
    assert [point[2] for point in history(mlflow, run, "m")] == list(range(1000))


def test_a_history_comes_in_pages(mlflow: Mlflow, run: str) -> None:
    metrics = [{"key": "m", "value": at, "timestamp": START + at, "step": at} for at in range(5)]
    mlflow.post("runs/log-batch", run_id=run, metrics=metrics)
    query = {"run_id": run, "metric_key": "m", "max_results": 2}
    steps, token = [], None
    while True:
        page = mlflow.get("metrics/get-history", **query, **({"page_token": token} if token else {}))
        steps.append([point["step"] for point in page["metrics"]])
        token = page.get("next_page_token")
        if token is None:
            break
    assert steps == [[0, 1], [2, 3], [4]]
    # A point that is logged later is seen, though a page was kept.
    mlflow.log_metric(run, "m", 9.0, 9, START + 9)
    assert len(history(mlflow, run, "m")) == 6
    assert mlflow.fails("GET", "metrics/get-history", **{**query, "max_results": 0})[:2] == REFUSED


def test_samples_of_a_history_keep_its_ends(mlflow: Mlflow, run: str) -> None:
    metrics = [{"key": "m", "value": at, "timestamp": START, "step": at} for at in range(100)]
    mlflow.post("runs/log-batch", run_id=run, metrics=metrics)
    asked = {"run_ids": [run], "metric_key": "m", "max_results": 4}
    found = mlflow.get("metrics/get-history-bulk-interval", **asked)["metrics"]
    assert [(point["step"], point["run_id"]) for point in found] == [(0, run), (25, run), (50, run), (99, run)]
    part = mlflow.get("metrics/get-history-bulk-interval", **asked, start_step=10, end_step=12)["metrics"]
    assert [point["step"] for point in part] == [10, 11, 12]
    assert mlflow.fails("GET", "metrics/get-history-bulk-interval", **asked, start_step=3)[:2] == REFUSED


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": "x"},
        {"value": True},
        {"timestamp": None},
        {"key": "a$b"},
        {"key": "../a"},
        {"key": "a" * 251},
        {"key": ""},
        {"step": -1},
        {"step": 2**40},
        {"timestamp": 2**62},
        {"run_id": "../x"},
    ],
)
def test_a_metric_that_mlflow_or_ganvas_cannot_keep_is_refused(
    mlflow: Mlflow, run: str, wrong: dict[str, object]
) -> None:
    body = {"run_id": run, "key": "m", "value": 1.0, "timestamp": START, "step": 0, **wrong}
    assert mlflow.fails("POST", "runs/log-metric", **body)[:2] == REFUSED


def test_numbers_may_be_sent_as_texts(mlflow: Mlflow, run: str) -> None:
    body = {"run_uuid": run, "key": "m", "value": "1.5", "timestamp": str(START), "step": "7"}
    mlflow.post("runs/log-metric", **body)
    assert history(mlflow, run, "m") == [(1.5, 0, 7)]


def test_params_become_the_jobs_config_with_numbers_that_can_be_searched(mlflow: Mlflow, run: str) -> None:
    mlflow.post("runs/log-parameter", run_id=run, key="lr", value="0.001")
    pairs = {"batch": "64", "ema": "True", "name": "dc gan", "none": "None"}
    params = [{"key": key, "value": value} for key, value in pairs.items()]
    mlflow.post("runs/log-batch", run_id=run, params=params)
    config = {"lr": 0.001, "batch": 64, "ema": True, "name": "dc gan", "none": None}
    assert mlflow.find_job(run)["spec"]["config"] == config
    for text in ("config.lr<0.01", "config.batch=64"):
        assert len(mlflow.client.get("/jobs", params={"q": text}).json()["items"]) == 1
    assert mlflow.client.get("/jobs", params={"q": "config.lr>0.01"}).json()["items"] == []
    shown = {param["key"]: param["value"] for param in mlflow.read_run(run)["data"]["params"]}
    assert shown == {"lr": "0.001", **pairs}


def test_a_param_is_written_once(any_mlflow: Mlflow) -> None:
    run = any_mlflow.create_run(any_mlflow.create_experiment())
    for _ in range(2):
        any_mlflow.post("runs/log-parameter", run_id=run, key="lr", value="1")
    status, code, message = any_mlflow.fails("POST", "runs/log-parameter", run_id=run, key="lr", value="2")
    assert (status, code) == REFUSED
    assert message == (
        f"Changing param values is not allowed. Param with key='lr' was already logged with value='1' for run "
        f"ID='{run}'. Attempted logging new value '2'."
    )
    batch = {"params": [{"key": "lr", "value": "3"}, {"key": "new", "value": "1"}]}
    assert any_mlflow.fails("POST", "runs/log-batch", run_id=run, **batch)[:2] == REFUSED
    assert any_mlflow.read_run(run)["data"]["params"] == [{"key": "lr", "value": "1"}]


def test_long_values_are_cut_and_too_many_are_refused(mlflow: Mlflow, run: str) -> None:
    mlflow.post("runs/log-parameter", run_id=run, key="long", value="v" * 7000)
    assert len(mlflow.read_run(run)["data"]["params"][0]["value"]) == 6000
    many = [{"key": str(at), "value": "1"} for at in range(101)]
    assert mlflow.fails("POST", "runs/log-batch", run_id=run, params=many)[:2] == REFUSED
    doubled = [{"key": "a", "value": "1"}] * 2
    assert mlflow.fails("POST", "runs/log-batch", run_id=run, params=doubled)[:2] == REFUSED


def test_tags_are_the_jobs_tags_and_what_a_person_added_stays(any_mlflow: Mlflow) -> None:
    run = any_mlflow.create_run(any_mlflow.create_experiment())
    job = any_mlflow.find_job(run)
    any_mlflow.client.patch(f"/jobs/{job['id']}", json={"add_tags": ["good"]})
    any_mlflow.post("runs/set-tag", run_id=run, key="k", value="v")
    any_mlflow.post("runs/log-batch", run_id=run, tags=[{"key": "k", "value": "w"}, {"key": "o", "value": "\n"}])
    assert any_mlflow.find_job(run)["tags"] == ["gan", "good", "k=w"]
    any_mlflow.post("runs/delete-tag", run_id=run, key="k")
    assert any_mlflow.find_job(run)["tags"] == ["gan", "good"]
    assert any_mlflow.fails("POST", "runs/delete-tag", run_id=run, key="k")[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    any_mlflow.post("runs/set-tag", run_id=run, key="mlflow.note.content", value="a note")
    assert any_mlflow.find_job(run)["note"] == "a note"
