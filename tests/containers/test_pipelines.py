"""Both pipelines, GitHub's and GitLab's, fit their schemas and walk the same road."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB, GITLAB = ".github/workflows/experiment.yml", ".gitlab-ci.yml"
SCHEMAS = {GITHUB: "github-workflows", GITLAB: "gitlab-ci"}
# The keys of .gitlab-ci.yml that name no job.
NO_JOBS = {"stages"}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's booleans: GitHub's `on` is a word."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_pipeline(name: str) -> Any:
    return yaml.load((ROOT / name).read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a SafeLoader)


def read_schema(name: str) -> Any:
    return json.loads(files("check_jsonschema").joinpath(f"builtin_schemas/vendor/{name}.json").read_text("utf-8"))


def list_scripts() -> dict[str, dict[str, str]]:
    """Return what each job runs, by pipeline and job."""
    github = {
        name: "\n".join(step.get("run", "") for step in job["steps"])
        for name, job in read_pipeline(GITHUB)["jobs"].items()
    }
    gitlab = {name: "\n".join(job["script"]) for name, job in read_pipeline(GITLAB).items() if name not in NO_JOBS}
    return {GITHUB: github, GITLAB: gitlab}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_pipeline_fits_the_schema_of_its_host(name: str) -> None:
    jsonschema.validate(read_pipeline(name), read_schema(SCHEMAS[name]))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_misspelt_field_of_a_pipeline_would_be_found(name: str) -> None:
    pipeline = read_pipeline(name)
    job = pipeline["jobs"]["test"] if name == GITHUB else pipeline["test"]
    job["skript"] = ["true"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(pipeline, read_schema(SCHEMAS[name]))


def test_no_job_has_a_name_that_means_something_else_to_gitlab() -> None:
    """`image` is what all jobs run in: as the name of a job, GitLab refuses the whole file."""
    pipeline = read_pipeline(GITLAB)
    pipeline["image"] = pipeline.pop("images")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(pipeline, read_schema(SCHEMAS[GITLAB]))


def test_both_pipelines_have_the_same_jobs_and_give_them_the_same_time() -> None:
    github, gitlab = read_pipeline(GITHUB)["jobs"], read_pipeline(GITLAB)
    minutes = {name: f"{job['timeout-minutes']} minutes" for name, job in github.items()}
    assert minutes == {name: job["timeout"] for name, job in gitlab.items() if name not in NO_JOBS}


@pytest.mark.parametrize(
    ("job", "command"),
    [
        ("test", "bash .ci/run"),
        ("cluster", "bash .ci/cluster"),
        ("submit", "pip install --constraint requirements.lock ."),
        ("submit", "bash k8s/commit/start.sh"),
        ("submit", "for spec in experiments/*.yaml; do"),
        ("submit", "--commit"),
    ],
)
def test_a_job_does_the_same_in_both_pipelines(job: str, command: str) -> None:
    assert [command in scripts[job] for scripts in list_scripts().values()] == [True, True]


def test_both_pipelines_build_the_same_images() -> None:
    github = read_pipeline(GITHUB)["jobs"]["images"]["strategy"]["matrix"]["include"]
    (gitlab,) = read_pipeline(GITLAB)["images"]["parallel"]["matrix"]
    assert {each["target"]: each["image"] for each in github} == {
        each: f"ganvas-{each}" for each in gitlab["TARGET"]
    }


def test_what_the_pipelines_run_is_there_and_skips_nothing_silently() -> None:
    text = (ROOT / ".ci" / "cluster").read_text(encoding="utf-8")
    for target in ("compose-test", "kube-test"):
        assert f"make {target}" in text
    # Each of the two ends well where it finds no engine; the script asks for the engines first.
    assert text.index("docker compose version") < text.index("podman info") < text.index("make compose-test")
