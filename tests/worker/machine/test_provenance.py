"""Provenance: what it finds, what it leaves out, and that nothing stops it."""

import subprocess
from pathlib import Path

import pytest

from ganlib.runtime.cpu import thread_settings
from worker.machine import git as checkouts
from worker.machine.provenance import MAX_DIFF_BYTES, read_program_provenance, read_provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that tracks the package whose provenance is read."""
    package = tmp_path / "repository" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("value = 1\n")
    git(tmp_path, "init", "-q", "-b", "trunk", "repository")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-q", "-m", "first")
    monkeypatch.setattr(checkouts.ganlib, "__file__", str(package / "__init__.py"))
    monkeypatch.delenv("GANVAS_COMMIT", raising=False)
    return package.parent


def test_a_clean_checkout_has_commit_and_branch_and_no_diff(checkout: Path) -> None:
    found = read_provenance()
    assert found.commit == git(checkout, "rev-parse", "HEAD").strip()
    assert (found.branch, found.uncommitted_diff, found.diff_truncated) == ("trunk", "", False)
    assert found.versions["ganvas"]
    assert found.device
    assert found.threads == int(thread_settings()["OMP_NUM_THREADS"])
    assert found.python.startswith("3.")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://ada:secret-word@github.com/ada/ganvas.git", "https://github.com/ada/ganvas.git"),
        ("ssh://git@gitlab.example.org:22/ada/ganvas", "ssh://gitlab.example.org:22/ada/ganvas"),
        ("git@github.com:ada/ganvas.git", "git@github.com:ada/ganvas.git"),
        (None, None),
    ],
)
def test_a_checkouts_remote_is_told_without_its_password(
    checkout: Path, url: str | None, told: str | None
) -> None:
    if url:
        git(checkout, "remote", "add", "origin", url)
    assert read_provenance().remote == told


def test_changes_and_untracked_names_are_recorded(checkout: Path) -> None:
    (checkout / "package" / "__init__.py").write_text("value = 2\n")
    (checkout / "notes.txt").write_text("not tracked")
    diff = read_provenance().uncommitted_diff
    assert "-value = 1\n+value = 2\n" in diff
    assert "# untracked: notes.txt\n" in diff
    assert "not tracked" not in diff


def test_a_long_diff_is_cut_and_says_so(checkout: Path) -> None:
    (checkout / "package" / "__init__.py").write_text("é\x07" * MAX_DIFF_BYTES)
    found = read_provenance()
    assert found.diff_truncated
    assert len(found.uncommitted_diff.encode()) <= MAX_DIFF_BYTES
    # A body of 1 MiB is the service's limit, escapes included.
    assert len(found.model_dump_json().encode()) < 2 * MAX_DIFF_BYTES + 4096


def test_secrets_stay_out(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / ".env").write_text("first")
    (checkout / "server.pem").write_text("first")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "second")
    monkeypatch.setenv("GANVAS_TOKEN", "correct-horse-battery")
    (checkout / ".env").write_text("PASSWORD=in-a-dotenv")
    (checkout / "server.pem").write_text("private-bytes")
    (checkout / "package" / "__init__.py").write_text("token = 'correct-horse-battery'\n")
    diff = read_provenance().uncommitted_diff
    assert "[GANVAS_TOKEN]" in diff
    for secret in ("correct-horse-battery", "in-a-dotenv", "private-bytes"):
        assert secret not in diff


def test_somebody_elses_repository_around_the_package_is_not_ours(checkout: Path, monkeypatch) -> None:
    installed = checkout / ".venv" / "package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    monkeypatch.setattr(checkouts.ganlib, "__file__", str(installed / "__init__.py"))
    monkeypatch.setenv("GANVAS_COMMIT", "c" * 40)
    found = read_provenance()
    assert (found.commit, found.branch, found.uncommitted_diff) == ("c" * 40, None, "")


def test_without_git_there_is_no_commit_and_no_failure(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert read_provenance().commit is None
    monkeypatch.setenv("GANVAS_COMMIT", "not a commit")
    assert read_provenance().commit is None


def test_a_repository_without_a_commit_is_no_failure(checkout: Path) -> None:
    git(checkout, "update-ref", "-d", "HEAD")
    assert read_provenance().commit is None


def test_changed_tracked_files_make_a_worker_dirty_and_others_do_not(checkout: Path) -> None:
    assert read_provenance().dirty is False
    (checkout / "notes.txt").write_text("not tracked")
    assert read_provenance().dirty is False
    (checkout / "package" / "__init__.py").write_text("value = 2\n")
    assert read_provenance().dirty is True


def test_an_image_runs_what_it_was_built_from(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("GANVAS_COMMIT", "C" * 40)
    found = read_provenance()
    assert (found.commit, found.dirty) == ("c" * 40, False)


def test_a_git_that_does_not_answer_proves_nothing(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkouts, "list_changed_files", lambda _: None)
    assert read_provenance().dirty is True


def test_a_program_of_somebodys_own_is_described_by_its_own_checkout(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "very-secret-word")
    script = checkout / "scripts"
    script.mkdir()
    (script / "train.py").write_text("print()\n")
    (checkout / "package" / "__init__.py").write_text("value = 'very-secret-word'\n")
    command = ["python", "train.py", "--lr=1", "--api-key", "abc", "--token=def", "-x", "very-secret-word"]
    found = read_program_provenance(script, command, ["pytest", "_pytest", "no_such_module"])
    assert found.commit == git(checkout, "rev-parse", "HEAD").strip()
    assert found.dirty
    assert "# untracked: scripts/train.py" in found.uncommitted_diff
    assert found.command == "python train.py --lr=1 --api-key '…' '--token=…' -x [MY_API_KEY]"
    assert "very-secret-word" not in found.model_dump_json()
    assert found.versions.keys() == {"ganvas", "pytest"}
    # Outside of any checkout nothing of this installation's is recorded.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    elsewhere = read_program_provenance(tmp_path, [], [])
    assert (elsewhere.commit, elsewhere.remote, elsewhere.uncommitted_diff) == (None, None, "")
