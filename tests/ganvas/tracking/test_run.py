import errno
import io
import json
import os
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load

from ganvas.tracking import folder as folders
from ganvas.tracking.folder import RunFolder
from ganvas.tracking.pictures.notebook import NotebookView
from ganvas.tracking.run import Run
from tests.ganvas.tracking.conftest import Recorded


def test_what_a_loop_hands_over_becomes_events_that_a_service_takes(recorded: Recorded, tmp_path: Path) -> None:
    run = recorded.run
    latents, labels = torch.randn(6, 4, 1, 1), torch.arange(6)
    run.latents(latents, labels)
    for step in range(3):
        run.log({"loss_G": 1.0 + step, "loss_D": torch.tensor(float("nan"))}, step=step)
    run.grid(torch.rand(6, 1, 4, 5) * 2 - 1, step=2)
    run.histogram("weights", torch.linspace(0, 1, 100), step=2)
    run.image("attention", np.zeros((4, 4, 3), np.uint8), step=2)
    run.note("half of it")
    latent_file, *_ = events = recorded.events()
    stored = load(recorded.file(latent_file))
    assert torch.equal(stored["latents"], latents.flatten(1))
    assert torch.equal(stored["labels"], labels)
    assert (latent_file["count"], latent_file["latent_size"]) == (6, 4)
    logged = [event["values"] for event in events if event["kind"] == "metrics_logged"]
    assert logged == [{"loss_G": 1.0 + step, "loss_D": "nan"} for step in range(3)]
    (grid,) = recorded.events("sample_grid_saved")
    assert (grid["rows"], grid["columns"], grid["cell_width"], grid["cell_height"]) == (2, 3, 5, 4)
    assert (grid["iteration"], grid["latents_sha256"]) == (2, latent_file["file"]["sha256"])
    assert Image.open(io.BytesIO(recorded.file(grid))).size == (15, 8)
    (image,) = recorded.events("file_saved")
    assert (image["name"], image["media_type"]) == ("images/attention/00000002.png", "image/png")
    (histogram,) = recorded.events("histograms_logged")
    assert sum(histogram["histograms"]["weights"]["counts"]) == 100
    texts = [event["text"] for event in recorded.events("line_logged")]
    assert texts[-1] == "half of it" or "half of it" in texts
    assert any(text.startswith("Pictures hold values from") for text in texts)


def test_files_checkpoints_and_state_dicts_are_kept_as_they_are_now(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "a.txt").write_text("one")
    (tmp_path / "out" / "deep" / "b.bin").write_text("two")
    (tmp_path / "last.safetensors").write_text("first")
    run = recorded.run
    run.file(tmp_path / "out", "results")
    run.checkpoint(tmp_path / "last.safetensors", step=500)
    (tmp_path / "last.safetensors").write_text("later")
    weights = torch.ones(2)
    run.checkpoint({"generator": weights}, step=600)
    weights += 1
    kept = {event["name"]: recorded.file(event) for event in recorded.events("file_saved")}
    state = torch.load(io.BytesIO(kept.pop("checkpoints/000600.pt")))
    assert torch.equal(state["generator"], torch.ones(2))
    assert kept == {
        "results/a.txt": b"one",
        "results/deep/b.bin": b"two",
        "checkpoints/000500.safetensors": b"first",
    }
    with pytest.raises(FileNotFoundError):
        run.file(tmp_path / "missing")
    # A folder without a name of its own; the run lies in it, and does not keep itself.
    monkeypatch.chdir(tmp_path)
    run.file(".")
    named = {event["name"].removeprefix(f"{tmp_path.name}/") for event in recorded.events("file_saved")[-3:]}
    assert named == {"last.safetensors", "out/a.txt", "out/deep/b.bin"}
    with pytest.raises(TypeError, match="a file's path or a state dict"):
        run.checkpoint(torch.nn.Linear(1, 1), step=1)


def test_cells_are_of_the_latents_only_where_there_are_as_many(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    run, pixels = recorded.run, np.zeros((16, 1, 2, 2), np.uint8)
    run.grid(pixels, step=0)
    run.latents(torch.zeros(3, 8))
    run.grid(pixels, step=1)
    run.grid(pixels, step=2)
    run.latents(torch.zeros(16, 8))
    run.grid(pixels, step=3)
    run.grid(pixels[:9], step=4)
    # Pictures that hold grids: the last row of one may end early.
    run.grid(np.zeros((10, 8), np.uint8), step=5, rows=5, columns=4)
    run.grid(np.zeros((8, 10), np.uint8), step=6, rows=4, columns=5)
    first, second = (event["file"]["sha256"] for event in recorded.events("latents_fixed"))
    known = [event["latents_sha256"] for event in recorded.events("sample_grid_saved")]
    assert first != second
    assert known == [None, None, None, second, None, None, second]
    said = [text for text in capsys.readouterr().err.splitlines() if "fixed latents" in text]
    assert [text.partition("There are ")[2].partition(":")[0] for text in said] == [
        "3 fixed latents and a grid of 16 cells",
        "16 fixed latents and a grid of 9 cells",
        "16 fixed latents and a grid of 20 cells",
    ]
    noted = " ".join(event["text"] for event in recorded.events("line_logged"))
    assert noted.count("fixed latents and a grid of") == 3
    assert "The fixed latents are others from here on" in noted


def test_steps_count_on_by_themselves_and_grids_belong_to_the_newest(recorded: Recorded) -> None:
    run = recorded.run
    run.log({"a": 1.0})
    run.log({"a": 1.0})
    run.grid(np.zeros((1, 1, 2, 2), np.uint8))
    run.log({"a": 1.0}, step=10)
    run.log({"a": 1.0}, step=4)
    run.log({"a": 1.0})
    assert [event["iteration"] for event in recorded.events("metrics_logged")] == [0, 1, 10, 4, 11]
    assert [event["iteration"] for event in recorded.events("sample_grid_saved")] == [1]


def test_wrong_arguments_raise_at_once_and_leave_nothing(recorded: Recorded) -> None:
    run = recorded.run
    for call in (
        lambda: run.log(0.5),  # type: ignore[arg-type]
        lambda: run.log({"a": "x"}),
        lambda: run.log({"a": 1.0}, step="one"),
        lambda: run.grid("x.png"),
        lambda: run.grid(np.zeros((4, 1, 2, 2)), range=5),
        lambda: run.grid(np.zeros((4, 1, 2, 2)), rows=1, columns=2),
        lambda: run.image("../x", np.zeros((2, 2))),
        lambda: run.histogram("h", "abc"),
        lambda: run.note(3),  # type: ignore[arg-type]
        lambda: run.latents(torch.zeros(3)),
        lambda: run.latents(torch.zeros(3, 2), labels=[1]),
        lambda: run.latents(torch.zeros(1, 2), labels=["one"]),
        lambda: run.file("/"),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()
    with pytest.raises(TypeError, match="lists of N × L numbers, as a generator takes them"):
        run.latents("x")
    assert recorded.events() == []
    assert run.step == -1


def test_an_exception_ends_the_run_as_failed_with_its_traceback(recorded: Recorded) -> None:
    def loop() -> None:
        with recorded.run as run:
            run.log({"a": 1 / 1})
            run.log({"a": 1 / 0})

    with pytest.raises(ZeroDivisionError):
        loop()
    end = recorded.folder.read_end()
    assert end is not None
    assert (end["end"], end["reason"]["message"]) == ("failed", "ZeroDivisionError: division by zero")
    assert 'run.log({"a": 1 / 0})' in end["reason"]["log_tail"]
    assert (end["events_count"], recorded.folder.is_written()) == (1, False)


def test_ctrl_c_cancels_and_a_plain_exit_succeeds(record: Callable[[], Recorded]) -> None:
    ends = []
    for error in (KeyboardInterrupt(), SystemExit(0), SystemExit(3), None):
        recorded = record()
        recorded.run.close_with(error)
        end = recorded.folder.read_end()
        ends.append(end and end["end"])
    assert ends == ["cancelled", "succeeded", "failed", "succeeded"]


def test_what_comes_after_the_end_is_told_once_and_raises_nothing(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.run.close()
    for _ in range(3):
        recorded.run.log({"a": 1.0})
        recorded.run.grid(np.zeros((1, 1, 2, 2)))
    assert capsys.readouterr().err.count("is not recorded") == 1
    assert recorded.events() == []


def test_a_run_that_records_nothing_does_nothing(tmp_path: Path) -> None:
    run = Run("other rank", "abcdefgh", None)
    with run:
        run.log({"a": 1.0}, step=1)
        run.grid(torch.zeros(1, 1, 2, 2))
        run.latents(torch.zeros(2, 2))
        run.file(tmp_path / "missing")
        run.checkpoint({}, step=1)
    assert (run.folder, run.should_stop()) == (None, False)


class FullDisk:
    """A disk that takes nothing while `is_full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        write = os.pwrite

        def pwrite(descriptor: int, content: Any, offset: int) -> int:
            if self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, content, offset)

        monkeypatch.setattr(folders.os, "pwrite", pwrite)


def test_a_full_disk_ends_no_loop_and_loses_nothing_once_there_is_room(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, run = FullDisk(monkeypatch), recorded.run
    run.log({"a": 0.0}, step=0)
    disk.is_full = True
    for step in range(1, 50):
        run.log({"a": float(step)}, step=step)
    run.grid(np.full((1, 1, 2, 2), 9, np.uint8), step=7)
    assert len(recorded.events()) == 1
    assert len(recorded.said) == 1
    assert "No space left on device); what is logged is kept in memory" in recorded.said[0]
    disk.is_full = False
    run.close()
    events = recorded.events()
    assert [event["iteration"] for event in events if event["kind"] == "metrics_logged"] == list(range(50))
    (grid,) = recorded.events("sample_grid_saved")
    assert Image.open(io.BytesIO(recorded.file(grid))).getpixel((0, 0)) == 9
    moments = [row["at"] for row in recorded.folder.read_events()]
    assert moments == sorted(moments)


def test_a_disk_that_stays_full_costs_events_but_neither_memory_nor_the_loop(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganvas.tracking.writer.MOST_WAITING_BYTES", 1000)
    disk, run = FullDisk(monkeypatch), recorded.run
    disk.is_full = True
    for step in range(100):
        run.log({"a": 1.0}, step=step)
    assert run._writer is not None
    assert run._writer._waiting_bytes <= 1000
    run.close()
    assert "100 events found no room" in recorded.said[-1]


def test_a_clock_that_is_set_back_leaves_the_order_of_events(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now in (1000.0, 1001.0, 500.0, 501.0, 1003.0):
        monkeypatch.setattr(folders.time, "time_ns", lambda now=now: int(now * 1e9))
        recorded.run.log({"a": now})
    seconds = [row["at"][17:19] for row in recorded.folder.read_events()]
    assert seconds == ["40", "41", "41", "42", "43"]


def test_threads_share_a_run(recorded: Recorded) -> None:
    def work(name: str) -> None:
        for step in range(200):
            recorded.run.log({name: 1.0}, step=step)

    threads = [threading.Thread(target=work, args=(f"a{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = list(recorded.folder.read_events())
    assert [row["seq"] for row in rows] == list(range(800))
    assert len({(*row["event"]["values"], row["event"]["iteration"]) for row in rows}) == 800


def test_two_runs_of_a_process_are_apart(record: Callable[[], Recorded]) -> None:
    one, other = record(), record()
    one.run.log({"a": 1.0})
    other.run.log({"b": 2.0})
    assert [list(each.events()[0]["values"]) for each in (one, other)] == [["a"], ["b"]]


def test_a_forked_child_writes_nothing_and_leaves_the_run_to_its_parent(recorded: Recorded) -> None:
    child = os.fork()
    if child == 0:
        recorded.run.leave_to_parent()
        recorded.run.log({"child": 1.0})
        recorded.run.grid(np.zeros((1, 1, 2, 2)))
        recorded.run.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert recorded.folder.is_written()
    recorded.run.log({"parent": 1.0})
    assert [list(event["values"]) for event in recorded.events()] == [["parent"]]


def test_a_notebook_shows_the_newest_grid_and_the_way_to_the_page(recorded: Recorded) -> None:
    assert recorded.run._repr_png_() is None
    recorded.run.grid(np.full((1, 1, 2, 2), 7, np.uint8), step=1)
    recorded.events()
    recorded.run.known_url = "http://127.0.0.1:8000/runs/a?b=<c>"
    png = recorded.run._repr_png_()
    assert png is not None
    assert Image.open(io.BytesIO(png)).getpixel((0, 0)) == 7
    html = recorded.run._repr_html_()
    assert 'href="http://127.0.0.1:8000/runs/a?b=&lt;c&gt;"' in html
    assert "data:image/png;base64," in html


class FakeIPython(types.ModuleType):
    """IPython as a kernel has it: what was displayed, and how often it was drawn anew."""

    def __init__(self, kernel: object) -> None:
        super().__init__("IPython")
        self.shown: list[str] = []
        self.display = types.SimpleNamespace(display=self.show, HTML=str)
        self.get_ipython = lambda: types.SimpleNamespace(kernel=kernel)

    def show(self, html: str, display_id: bool) -> Any:
        assert display_id
        self.shown.append(html)
        return types.SimpleNamespace(update=self.shown.append)


def test_in_a_kernel_the_newest_grid_is_drawn_where_the_first_one_stands(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook, terminal = FakeIPython(kernel=object()), FakeIPython(kernel=None)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    for step in range(2):
        recorded.run.grid(np.full((1, 1, 8, 8), step, np.uint8), step=step)
    recorded.events()
    assert [html[:24] for html in notebook.shown] == ["", '<img width="448" style="', '<img width="448" style="']
    assert notebook.shown[1] != notebook.shown[2]
    monkeypatch.setitem(sys.modules, "IPython", terminal)
    recorded.run._pictures.view = NotebookView()
    recorded.run.grid(np.zeros((1, 1, 8, 8), np.uint8), step=2)
    recorded.events()
    assert terminal.shown == []


def test_a_folder_that_is_copied_while_it_is_written_is_readable(recorded: Recorded, tmp_path: Path) -> None:
    for step in range(20):
        recorded.run.log({"a": 1.0}, step=step)
        recorded.run.grid(np.full((1, 1, 2, 2), step, np.uint8), step=step)
    copy = tmp_path / "copy"
    copy.mkdir()
    # By name, as rsync does: what comes later holds at least what the earlier files speak of.
    for name in sorted(os.listdir(recorded.folder.path)):
        copy.joinpath(name).write_bytes((recorded.folder.path / name).read_bytes())
        recorded.events()
    copied = RunFolder(copy)
    assert copied.read_header()["name"] == "my gan"
    for row in copied.read_events():
        if "file" in row["event"]:
            copied.read_file(row["event"]["file"])
    assert len(json.loads((copy / "run.json").read_text())) > 1
