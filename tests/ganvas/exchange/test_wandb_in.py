"""An offline folder of wandb 0.31 comes in whole, and a damaged one as far as it can be read."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from ganvas.exchange.incoming import media, wandb_log
from ganvas.exchange.incoming.wandb import find_runs
from ganvas.exchange.incoming.wandb_log import read_messages
from ganvas.exchange.records import Losses
from tests.ganvas.exchange.reading import FILES, STEPS, Written, draw, import_run

OFFLINE = FILES / "wandb"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return import_run(next(find_runs(OFFLINE)), tmp_path_factory.mktemp("runs") / "run")[0]


def copy(folder: Path) -> tuple[Path, Path]:
    """Return a copy of the offline folder, and the .wandb file in it."""
    home = Path(shutil.copytree(OFFLINE, folder / "wandb"))
    (file,) = home.rglob("*.wandb")
    return home, file


def test_history_keeps_every_step_and_every_bit(run: Written) -> None:
    assert run.points["loss/D"] == [(step, 1 / (step + 3)) for step in STEPS]
    assert run.points["loss_G"] == [(step, math.exp(-step / 30)) for step in STEPS]
    assert run.points["inner.a.b"] == [(step, float(step)) for step in STEPS]
    assert math.isnan(run.points["not a number"][0][1])
    assert run.points["infinite"] == [(100, -math.inf)]
    # Written into the summary alone.
    assert run.points["best/fid"] == [(100, 12.5)]
    assert any(name.startswith("system/") for name in run.points)


def test_pictures_become_a_timeline_and_a_series(run: Written) -> None:
    assert list(run.grids) == [0, 50]
    assert all(np.array_equal(run.cells(step), draw(step, 4)) for step in (0, 50))
    assert sorted(run.files) == ["images/real/00000000.png", "images/real/00000050.png"]


def test_what_describes_the_run_comes_with_it(run: Written) -> None:
    header = run.header
    assert header["name"] == "dcgan-mnist"
    assert header["config"] == {
        "lr": 2e-4,
        "loss": "hinge",
        "layers": {"sizes": [64, 128]},
        "seed": 7,
        "late": True,
    }
    assert (header["tags"], header["note"], header["origin"]) == (["mnist", "gan"], "A first try.", "wandb")
    assert header["provenance"]["python"].startswith("CPython 3.11")
    assert run.end is not None
    assert run.end["end"] == "succeeded"
    assert "word: hello" in run.lines
    assert {len(histogram["counts"]) for histogram in run.histograms.values()} == {64}
    assert sum(run.histograms["weights", 50]["counts"]) == 500


def test_the_same_is_imported_once(tmp_path: Path) -> None:
    first = import_run(next(find_runs(OFFLINE)), tmp_path / "run")[1]
    second = import_run(next(find_runs(OFFLINE)), tmp_path / "run")[1]
    assert first.new_events > 0
    assert second.new_events == 0
    assert second.points == first.points


def test_a_file_that_is_cut_off_gives_its_beginning_and_says_that_it_has_no_end(tmp_path: Path) -> None:
    home, file = copy(tmp_path)
    file.write_bytes(file.read_bytes()[:9000])
    written, imported = import_run(next(find_runs(home)), tmp_path / "run")
    assert 0 < len(written.points["loss/D"]) < 10
    assert "cut off at the end of a file: 1" in imported.losses.sentences()[0]
    assert written.end is not None
    assert written.end["end"] == "failed"
    assert "says nothing of an end" in written.end["reason"]["message"]
    # Once the file is whole, the rest is added and the run has ended well.
    shutil.copy(next(OFFLINE.rglob("*.wandb")), file)
    whole, _ = import_run(next(find_runs(home)), tmp_path / "run")
    assert whole.points["loss/D"] == [(step, 1 / (step + 3)) for step in STEPS]
    assert whole.end is not None
    assert whole.end["end"] == "succeeded"


def write_log(path: Path, records: list[bytes]) -> None:
    """Write records of any length as LevelDB's log does, in blocks of 32 KiB."""
    import zlib

    content = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        rest, begun = record, False
        while True:
            room = 32_768 - len(content) % 32_768
            if room < 7:
                content += bytes(room)
                room = 32_768
            part, rest = rest[: room - 7], rest[room - 7 :]
            kind = bytes([(3 if rest else 4) if begun else (2 if rest else 1)])
            content += zlib.crc32(part, zlib.crc32(kind)).to_bytes(4, "little")
            content += len(part).to_bytes(2, "little") + kind + part
            begun = True
            if not rest:
                break
    path.write_bytes(content)


def make_history(step: int, text: str) -> bytes:
    message = wandb_log.record_class()()
    message.history.step.num = step
    message.history.item.add(nested_key=["a"], value_json=text)
    return bytes(message.SerializeToString())


def test_a_damaged_block_loses_its_own_records_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [make_history(step, str(step) + " " * 20_000) for step in range(10)]
    write_log(tmp_path / "run-a.wandb", records)
    assert [m.history.step.num for m in read_messages(tmp_path / "run-a.wandb", Losses())] == list(range(10))

    content = bytearray((tmp_path / "run-a.wandb").read_bytes())
    content[70_000] ^= 0xFF
    (tmp_path / "run-a.wandb").write_bytes(content)
    losses = Losses()
    read = [m.history.step.num for m in read_messages(tmp_path / "run-a.wandb", losses)]
    assert read == [0, 1, 2, 5, 6, 7, 8, 9] or read == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert losses.sentences()[0].startswith("damaged blocks of 32 KiB, read from the next one on: 1 ")

    # Control: without the checksum the damaged record passes.
    monkeypatch.setattr(wandb_log.zlib, "crc32", lambda *given: Anything())
    assert len(list(read_messages(tmp_path / "run-a.wandb", Losses()))) == 10


class Anything:
    """Equal to every checksum."""

    def __ne__(self, other: object) -> bool:
        return False


def test_media_that_are_missing_are_counted(tmp_path: Path) -> None:
    home, file = copy(tmp_path)
    for picture in (file.parent / "files" / "media" / "images").glob("samples_50*"):
        picture.unlink()
    written, imported = import_run(next(find_runs(home)), tmp_path / "run")
    assert list(written.grids) == [0]
    assert imported.losses.sentences()[0].startswith("files that are missing: 4 (first media/images/samples_50")


def test_a_record_cannot_name_a_file_outside_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "link").symlink_to(tmp_path / "secret")
    message = wandb_log.record_class()()
    for key, name in (("a", "../secret"), ("b", str(tmp_path / "secret")), ("c", "link")):
        value = f'{{"_type": "table-file", "path": "{name}"}}'
        message.history.item.add(key=key, value_json=value)
    write_log(tmp_path / "run-a.wandb", [message.SerializeToString()])
    written, imported = import_run(next(find_runs(tmp_path)), tmp_path / "run")
    assert written.files == {}
    assert imported.losses.sentences()[0].startswith("files outside the run's folder, not read: 3 ")

    # Control: without the check the secret would be in the run.
    monkeypatch.setattr(media.Path, "is_relative_to", lambda *given: True)
    unchecked, _ = import_run(next(find_runs(tmp_path)), tmp_path / "unchecked")
    assert b"secret" in unchecked.files.values()


def test_an_exit_code_is_a_failure(tmp_path: Path) -> None:
    message = wandb_log.record_class()()
    message.exit.exit_code = 3
    write_log(tmp_path / "run-a.wandb", [make_history(0, "1.5"), message.SerializeToString()])
    written, _ = import_run(next(find_runs(tmp_path)), tmp_path / "run")
    assert written.end is not None
    assert (written.end["end"], written.end["reason"]["message"]) == (
        "failed", "The process ended with exit code 3.",
    )  # fmt: skip
