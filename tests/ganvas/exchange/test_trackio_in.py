"""A project of trackio 0.43 comes in from its database, and from the Parquet files that a Space keeps of it."""

import math
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from ganvas.exchange.incoming.trackio import find_runs
from ganvas.exchange.records import SourceUnreadable
from ganvas.exchange.sources import recognise
from tests.ganvas.exchange.reading import FILES, STEPS, Written, draw, import_run

HOME = FILES / "trackio"


def make_database(folder: Path) -> Path:
    """Return a folder of trackio with the database that its SQL makes, and the pictures."""
    shutil.copytree(HOME / "media", folder / "media")
    connection = sqlite3.connect(folder / "gan.db")
    connection.executescript((HOME / "gan.sql").read_text(encoding="utf-8"))
    connection.close()
    return folder


def check(run: Written) -> None:
    assert run.points["loss/D"] == [(step, 1 / (step + 3)) for step in STEPS]
    assert run.points["loss_G"] == [(step, math.exp(-step / 30)) for step in STEPS]
    assert math.isnan(run.points["not a number"][0][1])
    assert run.points["infinite"] == [(100, -math.inf)]
    assert run.points["system/gpu"][0][1] == 0.5
    assert list(run.grids) == [0, 50]
    # trackio writes pictures with an opaque alpha channel.
    assert all(np.array_equal(run.cells(step)[..., :3], draw(step)) for step in (0, 50))
    assert sum(run.histograms["weights", 50]["counts"]) == 500
    assert run.header["config"] == {"lr": 2e-4, "loss": "hinge", "seed": 7}
    assert (run.header["name"], run.header["tags"], run.header["origin"]) == ("dcgan-mnist", ["gan"], "trackio")
    assert "word: hello" in run.lines


def test_a_database_comes_in_whole_and_once(tmp_path: Path) -> None:
    source = make_database(tmp_path)
    assert recognise(source) == "trackio"
    run, first = import_run(next(find_runs(source)), tmp_path / "run")
    check(run)
    assert "Collapse: All images are equal." in run.lines
    assert not first.losses
    assert import_run(next(find_runs(source)), tmp_path / "run")[1].new_events == 0


def test_parquet_files_are_the_same_run(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    run, _ = import_run(next(find_runs(HOME)), tmp_path / "run")
    check(run)
    source = make_database(tmp_path)
    assert import_run(next(find_runs(source)), tmp_path / "other")[0].header["key"] == run.header["key"]


def test_rows_that_were_added_are_added(tmp_path: Path) -> None:
    source = make_database(tmp_path)
    import_run(next(find_runs(source)), tmp_path / "run")
    with sqlite3.connect(source / "gan.db") as connection:
        connection.execute(
            "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics)"
            """ SELECT run_id, timestamp, run_name, 500, '{"loss/D": 0.5}' FROM metrics LIMIT 1"""
        )
    connection.close()
    run, grown = import_run(next(find_runs(source)), tmp_path / "run")
    assert grown.new_events == 1
    assert run.points["loss/D"][-1] == (500, 0.5)


def test_a_row_that_is_damaged_is_counted(tmp_path: Path) -> None:
    source = make_database(tmp_path)
    with sqlite3.connect(source / "gan.db") as connection:
        connection.execute("UPDATE metrics SET metrics = 'no JSON' WHERE id = 3")
    connection.close()
    run, imported = import_run(next(find_runs(source)), tmp_path / "run")
    assert len(run.points["loss/D"]) == 9
    assert imported.losses.sentences() == ["rows that cannot be read: 1 (gan.db, row 3)"]


def test_a_database_that_is_cut_off_says_so(tmp_path: Path) -> None:
    source = make_database(tmp_path)
    file = source / "gan.db"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    try:
        runs = list(find_runs(source))
    except SourceUnreadable:
        return
    for number, run in enumerate(runs):
        _, imported = import_run(run, tmp_path / str(number))
        assert imported.losses
