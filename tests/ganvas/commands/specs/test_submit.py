"""`ganvas submit --commit`: which commit it means, and when it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.client.client import Client
from api.jobs.schemas import JobRead
from api.server.http.schemas import HealthRead
from tests.conftest import LiveService
from tests.ganvas.conftest import RunCommand
from tests.worker.machine.test_provenance import git
from worker.machine import git as checkouts


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkout that this installation runs from."""
    package = tmp_path / "repository" / "ganlib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(tmp_path, "init", "-q", "repository")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-q", "-m", "first")
    monkeypatch.setattr(checkouts.ganlib, "__file__", str(package / "__init__.py"))
    monkeypatch.delenv("GANVAS_COMMIT", raising=False)
    return package.parent


def pinned_to(ganvas: RunCommand, service: LiveService, *arguments: object) -> str | None:
    outcome = ganvas("submit", *arguments, "--url", service.url, "--json")
    assert outcome.status == 0, outcome.err
    commit: str | None = json.loads(outcome.out)["spec"]["queue"]["commit"]
    return commit


@pytest.mark.parametrize("value", [[], ["HEAD"]])
def test_a_job_is_pinned_to_what_is_checked_out(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, checkout: Path, value: list[str]
) -> None:
    head = git(checkout, "rev-parse", "HEAD").strip()
    assert pinned_to(ganvas, live_service, tiny_spec, "--commit", *value) == head


def test_a_job_may_be_pinned_to_any_commit_and_is_to_none_unless_asked(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path
) -> None:
    assert pinned_to(ganvas, live_service, tiny_spec, "--commit", "ABCDEF1") == "abcdef1"
    assert pinned_to(ganvas, live_service, tiny_spec) is None


def test_changes_that_are_not_committed_are_named(ganvas: RunCommand, tiny_spec: Path, checkout: Path) -> None:
    (checkout / "ganlib" / "__init__.py").write_text("changed")
    outcome = ganvas("submit", tiny_spec, "--commit")
    assert outcome.status == 1
    assert "ganlib/__init__.py" in outcome.err
    assert "not committed" in outcome.err


def test_a_file_that_git_does_not_track_is_no_change(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, checkout: Path
) -> None:
    (checkout / "my-spec.yaml").write_text("")
    assert pinned_to(ganvas, live_service, tiny_spec, "--commit") is not None


def test_without_git_a_sentence_says_to_name_the_commit(
    ganvas: RunCommand, tiny_spec: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    outcome = ganvas("submit", tiny_spec, "--commit")
    assert (outcome.status, "name it yourself" in outcome.err) == (1, True)


def test_an_image_says_which_commit_it_was_built_from(
    ganvas: RunCommand,
    live_service: LiveService,
    tiny_spec: Path,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("GANVAS_COMMIT", "c" * 40)
    assert pinned_to(ganvas, live_service, tiny_spec, "--commit") == "c" * 40


def test_a_spec_behind_the_option_is_not_taken_for_a_commit(ganvas: RunCommand, tiny_spec: Path) -> None:
    outcome = ganvas("submit", "--commit", tiny_spec)
    assert outcome.status == 2
    assert "--commit HEAD" in outcome.err


def test_list_and_show_say_that_nobody_runs_the_commit(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path
) -> None:
    submitted = ganvas("submit", tiny_spec, "--commit", "abcdef1", "--url", live_service.url, "--json")
    job_id = json.loads(submitted.out)["id"]
    nobody = "pinned to commit abcdef1; no known worker runs it"
    assert f"{job_id} waits: {nobody}" in ganvas("list", "--url", live_service.url).out
    assert nobody in ganvas("show", job_id, "--url", live_service.url).out
    logs = ganvas("logs", job_id, "--url", live_service.url)
    assert f"No log lines yet. No worker takes this run: {nobody}." in logs.err


def test_whoever_waits_reads_why_and_whole_lines_where_nobody_watches(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(client: Client, job_id: str, on_update: Any, on_finding: Any) -> JobRead:
        job = client.get(job_id)
        on_update(job)
        return client.cancel(job_id)

    monkeypatch.setattr(Client, "wait", end)
    monkeypatch.setenv("GANVAS_URL", live_service.url)
    outcome = ganvas("submit", tiny_spec, "--wait", "--set", "device=cuda")
    assert outcome.err == (
        "It waits for a worker with a CUDA GPU, as its spec asks (device: cuda).\nqueued, iteration 0 of 20\n"
    )
    shown = ganvas("show", ganvas("submit", tiny_spec).out[:8]).out
    assert "waits       No worker has claimed this run yet." in shown


def test_the_page_is_named_by_the_services_public_address(
    ganvas: RunCommand, live_service: LiveService, tiny_spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"{live_service.url}/runs/" in ganvas("submit", tiny_spec, "--url", live_service.url).out
    health = HealthRead(version="0", public_url="https://gan.example/", jobs_queued=0, jobs_running=0)
    monkeypatch.setattr(Client, "health", lambda _: health)
    assert "  https://gan.example/runs/" in ganvas("submit", tiny_spec, "--url", live_service.url).out
