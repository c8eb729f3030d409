"""Experiments: names, tags, search, and runs that go and come back with them."""

import pytest

from tests.api.mlflow.conftest import Mlflow

MISSING, REFUSED = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"


def names(answer: dict) -> list[str]:  # type: ignore[type-arg]
    return [each["name"] for each in answer.get("experiments", [])]


def test_set_experiment_asks_by_name_creates_and_reads(mlflow: Mlflow) -> None:
    asked = mlflow.fails("GET", "experiments/get-by-name", experiment_name="gan")
    assert asked == (404, MISSING, "Could not find experiment with name 'gan'")
    number = mlflow.create_experiment()
    found = mlflow.get("experiments/get", experiment_id=number)["experiment"]
    assert found["artifact_location"] == f"mlflow-artifacts:/{number}"
    assert (found["name"], found["lifecycle_stage"], found["experiment_id"]) == ("gan", "active", number)
    assert found == mlflow.get("experiments/get-by-name", experiment_name="gan")["experiment"]


def test_the_default_experiment_is_there_and_takes_runs_that_name_none(any_mlflow: Mlflow) -> None:
    assert any_mlflow.get("experiments/get", experiment_id="0")["experiment"]["name"] == "Default"
    assert any_mlflow.post("runs/create", start_time=1)["run"]["info"]["experiment_id"] == "0"
    assert any_mlflow.create_experiment("the first own one") == "1"


def test_a_name_is_taken_once(any_mlflow: Mlflow) -> None:
    any_mlflow.create_experiment()
    status, code, message = any_mlflow.fails("POST", "experiments/create", name="gan")
    assert (status, code) == (400, "RESOURCE_ALREADY_EXISTS")
    assert "Experiment(name=gan) already exists" in message
    other = any_mlflow.create_experiment("other")
    assert any_mlflow.fails("POST", "experiments/update", experiment_id=other, new_name="gan")[1] == code


@pytest.mark.parametrize("name", ["", "x" * 501])
def test_a_name_is_neither_empty_nor_endless(mlflow: Mlflow, name: str) -> None:
    assert mlflow.fails("POST", "experiments/create", name=name)[:2] == (400, REFUSED)


def test_a_place_for_artifacts_elsewhere_is_refused_in_words(mlflow: Mlflow) -> None:
    status, code, message = mlflow.fails("POST", "experiments/create", name="x", artifact_location="file:///etc")
    assert (status, code, "leave artifact_location out" in message) == (400, REFUSED, True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name LIKE 'g%'", ["gan"]),
        ("name ILIKE 'G%'", ["gan"]),
        ("tags.team = 'a'", ["gan"]),
        ("tags.team IS NULL", ["other", "Default"]),
        ("experiment_id IN ('0', '1')", ["gan", "Default"]),
        ("creation_time > 5 AND name != 'other'", ["gan", "Default"]),
        ("", ["other", "gan", "Default"]),
    ],
)
def test_experiments_are_found(mlflow: Mlflow, text: str, found: list[str]) -> None:
    mlflow.post("experiments/create", name="gan", tags=[{"key": "team", "value": "a"}])
    mlflow.create_experiment("other")
    asked = {"filter": text, "order_by": ["experiment_id DESC"]}
    assert names(mlflow.post("experiments/search", **asked)) == found


def test_a_search_goes_page_by_page(mlflow: Mlflow) -> None:
    for name in "abc":
        mlflow.create_experiment(name)
    asked = {"max_results": 2, "order_by": ["name DESC"]}
    first = mlflow.post("experiments/search", **asked)
    second = mlflow.post("experiments/search", **asked, page_token=first["next_page_token"])
    assert (names(first), names(second), "next_page_token" in second) == (["c", "b"], ["a", "Default"], False)


def test_tags_come_and_go(any_mlflow: Mlflow) -> None:
    number = any_mlflow.create_experiment()
    any_mlflow.post("experiments/set-experiment-tag", experiment_id=number, key="a", value="b")
    tagged = any_mlflow.get("experiments/get", experiment_id=number)["experiment"]["tags"]
    assert tagged == [{"key": "a", "value": "b"}]
    any_mlflow.post("experiments/delete-experiment-tag", experiment_id=number, key="a")
    again = any_mlflow.fails("POST", "experiments/delete-experiment-tag", experiment_id=number, key="a")
    assert again[:2] == (404, MISSING)


def test_runs_go_and_come_back_with_their_experiment(any_mlflow: Mlflow) -> None:
    number = any_mlflow.create_experiment()
    run = any_mlflow.create_run(number)
    any_mlflow.post("experiments/delete", experiment_id=number)
    assert any_mlflow.read_run(run)["info"]["lifecycle_stage"] == "deleted"
    assert any_mlflow.client.get("/jobs").json()["items"] == []
    assert any_mlflow.fails("POST", "runs/create", experiment_id=number)[:2] == (400, REFUSED)
    assert any_mlflow.fails("POST", "experiments/update", experiment_id=number, new_name="x")[1] == "INVALID_STATE"
    assert names(any_mlflow.post("experiments/search", view_type="DELETED_ONLY")) == ["gan"]
    any_mlflow.post("experiments/restore", experiment_id=number)
    assert any_mlflow.read_run(run)["info"]["lifecycle_stage"] == "active"
    assert [each["name"] for each in any_mlflow.client.get("/jobs").json()["items"]] == ["r1"]
