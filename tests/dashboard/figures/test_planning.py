"""The labels of the runs in a figure."""

from types import SimpleNamespace
from typing import Any, cast

from api.server.database.models import Job
from dashboard.figures.planning import label_runs


def make_job(job_id: str, name: str = "a", **spec: Any) -> Job:
    return cast(Job, SimpleNamespace(id=job_id, name=name, spec={"name": name, "description": job_id, **spec}))


def rate(value: float) -> dict[str, Any]:
    return {"generator": {"learning_rate": value}, "discriminator": {"learning_rate": 0.0002}}


def test_names_tell_runs_apart_with_their_ids_where_they_must() -> None:
    jobs = [make_job("x1", "a"), make_job("x2", "b"), make_job("x3", "a")]
    assert label_runs(jobs, "name", {}) == ["a\nx1", "b", "a\nx3"]
    assert label_runs(jobs, "id", {}) == ["x1", "x2", "x3"]
    assert label_runs(jobs, "none", {"x2": " ours "}) == ["", "ours", ""]


def test_changes_are_the_fields_in_which_specs_differ() -> None:
    jobs = [make_job("x1", optimisers=rate(0.0002), seed=1), make_job("x2", optimisers=rate(0.001), seed=1)]
    assert label_runs(jobs, "changes", {}) == ["learning_rate 0.0002", "learning_rate 0.001"]


def test_fields_of_one_name_are_told_apart_by_what_holds_them() -> None:
    other = {"generator": {"learning_rate": 0.001}, "discriminator": {"learning_rate": 0.004}}
    jobs = [make_job("x1", optimisers=rate(0.0002)), make_job("x2", optimisers=other)]
    assert label_runs(jobs, "changes", {})[1] == "generator.learning_rate 0.001\ndiscriminator.learning_rate 0.004"


def test_many_changes_are_counted_and_lists_named() -> None:
    first = {f"field{n}": n for n in range(6)}
    jobs = [make_job("x1", **first, techniques=[]), make_job("x2", techniques=[{"technique": "r1", "weight": 1}])]
    assert label_runs(jobs, "changes", {})[0].splitlines()[-1] == "and 3 more"
    only = [make_job("x1", techniques=[]), make_job("x2", techniques=[{"technique": "r1"}])]
    assert label_runs(only, "changes", {}) == ["techniques none", "techniques r1"]


def test_runs_of_one_spec_keep_their_names() -> None:
    assert label_runs([make_job("x1", "a"), make_job("x2", "b")], "changes", {}) == ["a", "b"]
