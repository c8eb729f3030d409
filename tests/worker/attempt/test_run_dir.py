"""Run folders: one holder each, and names that lead nowhere else."""

from pathlib import Path

import pytest

from worker.attempt.run_dir import RunDirBusy, delete_run_dir, hold_run_dir, list_run_dirs, open_run_dir


def test_a_folder_has_one_holder_at_a_time(tmp_path: Path, make_run_dir) -> None:
    run_dir = make_run_dir(tmp_path, "job", 1, {})
    with hold_run_dir(run_dir), pytest.raises(RunDirBusy), hold_run_dir(run_dir):
        pass
    with hold_run_dir(run_dir):
        delete_run_dir(run_dir)
    with pytest.raises(RunDirBusy), hold_run_dir(run_dir):
        pass


def test_a_new_folder_is_never_seen_without_its_holder(tmp_path: Path) -> None:
    with open_run_dir(tmp_path, "job", 2, {"name": "x"}) as run_dir:
        assert list_run_dirs(tmp_path) == [run_dir]
        assert run_dir.spec_path.read_text() == '{"name": "x"}'
        with pytest.raises(RunDirBusy), hold_run_dir(run_dir):
            pass


def test_folders_are_listed_with_their_job_and_attempt(tmp_path: Path, make_run_dir) -> None:
    make_run_dir(tmp_path, "a1", 12, {})
    (tmp_path / "something else").mkdir()
    (tmp_path / "file-1").write_text("")
    assert [(found.job_id, found.attempt) for found in list_run_dirs(tmp_path)] == [("a1", 12)]
    assert list_run_dirs(tmp_path / "none") == []


def test_a_new_attempt_finds_nothing_of_an_old_folder(tmp_path: Path, make_run_dir) -> None:
    run_dir = make_run_dir(tmp_path, "job", 1, {})
    run_dir.spool_path.write_text("old")
    assert not make_run_dir(tmp_path, "job", 1, {}).spool_path.exists()
