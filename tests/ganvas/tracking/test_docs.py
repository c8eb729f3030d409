"""The scripts of docs/how-to/own-loop.md, as they stand there."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

from ganlib.events import event_adapter
from ganvas.tracking.folder import RunFolder

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/how-to/own-loop.md").read_text(encoding="utf-8")
FIRST, SCRIPT = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
MOST_LINES = 60


def write_mnist(folder: Path) -> None:
    """Write a data set in MNIST's form, of noise: two batches."""
    (folder / "MNIST/raw").mkdir(parents=True)
    for part in ("train", "t10k"):
        images = np.random.default_rng(0).integers(0, 256, (128, 28, 28), np.uint8)
        for kind, magic, content in (("images-idx3", 2051, images), ("labels-idx1", 2049, images[:, 0, 0] % 10)):
            head = struct.pack(f">{1 + content.ndim}i", magic, *content.shape)
            (folder / f"MNIST/raw/{part}-{kind}-ubyte").write_bytes(head + content.tobytes())


def run_script(folder: Path, script: str, *arguments: str) -> RunFolder:
    path = folder / "dcgan.py"
    path.write_text(script)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GANVAS_HOME": str(folder / "home"),
        "GANVAS_MODE": "offline",
    }
    command = [sys.executable, "-W", "ignore", str(path), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "home/runs").iterdir()
    return RunFolder(run)


def test_the_dcgan_of_the_docs_has_a_timeline_curves_and_its_script(tmp_path: Path) -> None:
    assert len(SCRIPT.splitlines()) <= MOST_LINES
    write_mnist(tmp_path / "data")
    run = run_script(tmp_path, SCRIPT, "--iterations", "3", "--batch-size", "8")
    events = [row["event"] for row in run.read_events()]
    for event in events:
        event_adapter.validate_python(event)
    logged = [event for event in events if event["kind"] == "metrics_logged" and "g_loss" in event["values"]]
    assert [event["iteration"] for event in logged] == [0, 1, 2]
    assert all(set(event["values"]) == {"g_loss", "d_loss"} for event in logged)
    (grid,) = (event for event in events if event["kind"] == "sample_grid_saved")
    assert (grid["rows"], grid["columns"], grid["cell_width"]) == (8, 8, 28)
    (script,) = (event for event in events if event["kind"] == "file_saved")
    assert (script["name"], run.read_file(script["file"]).decode()) == ("code/dcgan.py", SCRIPT)
    end, header = run.read_end(), run.read_header()
    assert end is not None
    assert (end["end"], header["iterations"], header["config"]["lr"]) == ("succeeded", 3, 2e-4)
    # Signals of the grid, by the process beside the loop.
    assert any("signals/" in name for event in events for name in event.get("values", {}))


def test_the_lines_that_are_new_are_those_of_the_diff_and_the_rest_needs_no_ganvas() -> None:
    added = [
        line[1:] for line in re.search(r"```diff\n(.*?)```", PAGE, re.DOTALL)[1].splitlines() if line[0] == "+"
    ]  # type: ignore[index]
    assert [line for line in SCRIPT.splitlines() if "ganvas" in line or "run." in line] == added
    assert len(added) == 4


def test_the_first_lines_of_the_page_run(tmp_path: Path) -> None:
    run = run_script(tmp_path, FIRST)
    assert sum(row["event"]["kind"] == "metrics_logged" for row in run.read_events()) == 100
    assert run.read_header()["tags"] == ["mnist"]
