"""Runs of a service go out whole, and come back from what was written as they were."""

import csv
import math
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from api.client.client import Client
from api.client.transport import Transport
from api.server.settings import Settings
from ganvas.exchange.commands import place_run
from ganvas.exchange.incoming import mlflow, tensorboard
from ganvas.exchange.outgoing import folders
from ganvas.exchange.outgoing.folders import ExportRefused, whole_folder
from ganvas.exchange.outgoing.mlflow import write_mlflow
from ganvas.exchange.outgoing.runs import ExportedRun
from ganvas.exchange.outgoing.tables import write_csv, write_parquet
from ganvas.exchange.outgoing.tensorboard import write_tensorboard
from ganvas.exchange.sources import open_source
from ganvas.exchange.writing import choose_timeline, write_run
from ganvas.tracking.commands import sync_run
from tests.conftest import LiveService, run_services
from tests.ganvas.conftest import RunCommand
from tests.ganvas.exchange.reading import FILES, Written, import_run


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    with run_services() as start:
        yield start(Settings(home=tmp_path_factory.mktemp("service"), port=0))


@pytest.fixture(scope="module")
def imported(service: LiveService, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """The runs that were sent to the service, as their folders hold them."""
    home, runs = tmp_path_factory.mktemp("runs"), {}
    with Transport(service.url) as transport:
        for source in ("wandb", "tensorboard/tensors"):
            for run in open_source(str(FILES / source)):
                path = place_run(run, home, None)
                write_run(run, path, timeline=choose_timeline(run.image_tags))
                sync_run(path, transport)
                runs[run.name] = Written(path)
    return runs


@pytest.fixture
def client(service: LiveService) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def last_values(run: Written) -> dict[str, dict[int, float]]:
    """Return points by name and step; of several values of one step the last, as a service keeps them."""
    return {name: dict(points) for name, points in run.points.items()}


def last_times(run: Written, unit: str = "microseconds") -> dict[str, dict[int, str]]:
    """Return when each of the last values was logged, by name and step."""
    found: dict[str, dict[int, str]] = {}
    for name, points in run.points.items():
        for (step, _), at in zip(points, run.times[name], strict=True):
            found.setdefault(name, {})[step] = datetime.fromisoformat(at).isoformat(timespec=unit)
    return found


def same(one: dict[str, dict[int, float]], other: dict[str, dict[int, float]]) -> bool:
    def show(curves: dict[str, dict[int, float]]) -> dict[str, dict[int, str]]:
        return {
            name: {step: repr(value) for step, value in sorted(points.items())} for name, points in curves.items()
        }

    return show(one) == show(other)


@pytest.mark.parametrize("name", ["dcgan-mnist", "tensors"])
def test_event_files_come_back_as_the_run_was(
    client: Client, imported: dict[str, Written], tmp_path: Path, name: str
) -> None:
    folder = write_tensorboard(ExportedRun.fetch(client, name, with_files=True), tmp_path)
    back, result = import_run(next(tensorboard.find_runs(folder)), tmp_path / "back")
    run = imported[name]
    assert not result.losses
    assert same(last_values(back), last_values(run))
    assert last_times(back) == last_times(run)
    assert {step: grid["png"] for step, grid in back.grids.items()} == {
        step: grid["png"] for step, grid in run.grids.items()
    }
    pictures = {name: content for name, content in run.files.items() if name.startswith("images/")}
    assert back.files == pictures
    assert back.histograms == run.histograms
    if name == "dcgan-mnist":
        assert back.header["config"]["loss"] == "hinge"
        assert back.header["config"]["lr"] == 2e-4


def test_tensorboards_own_reader_reads_every_value(
    client: Client, imported: dict[str, Written], tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util import tensor_util

    folder = write_tensorboard(ExportedRun.fetch(client, "tensors", with_files=False), tmp_path)
    (file,) = folder.glob("events*")
    values: dict[str, dict[int, float]] = {}
    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "scalars" or value.tag in ("loss", "loss64"):
                values.setdefault(value.tag, {})[event.step] = tensor_util.make_ndarray(value.tensor).item()
    assert values == last_values(imported["tensors"])


def test_mlflows_file_store_comes_back_as_the_run_was(
    client: Client, imported: dict[str, Written], tmp_path: Path
) -> None:
    write_mlflow(ExportedRun.fetch(client, "dcgan-mnist", with_files=True), tmp_path / "mlruns")
    (source,) = mlflow.find_runs(tmp_path / "mlruns")
    back, result = import_run(source, tmp_path / "back")
    run = imported["dcgan-mnist"]
    assert not result.losses
    assert same(last_values(back), last_values(run))
    # MLflow counts milliseconds.
    assert last_times(back, "milliseconds") == last_times(run, "milliseconds")
    assert {step: grid["png"] for step, grid in back.grids.items()} == {
        step: grid["png"] for step, grid in run.grids.items()
    }
    assert back.files == run.files
    assert back.header["config"] == {
        "late": True, "layers.sizes": "[64, 128]", "loss": "hinge", "lr": 2e-4, "seed": 7,
    }  # fmt: skip


def test_a_table_has_a_row_for_each_point(client: Client, imported: dict[str, Written], tmp_path: Path) -> None:
    from pyarrow import parquet

    run = ExportedRun.fetch(client, "dcgan-mnist", with_files=True)
    folder = write_csv(run, tmp_path / "csv")
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    read: dict[str, dict[int, float]] = {}
    times: dict[str, dict[int, str]] = {}
    for row in rows:
        read.setdefault(row["metric"], {})[int(row["iteration"])] = float(row["value"])
        assert row["name"] == "dcgan-mnist"
        times.setdefault(row["metric"], {})[int(row["iteration"])] = row["time"]
    written = last_values(imported["dcgan-mnist"])
    assert same(read, written)
    moments = last_times(imported["dcgan-mnist"])
    assert times == {
        name: {step: at.replace(".000000", "") for step, at in column.items()} for name, column in moments.items()
    }
    assert (folder / "samples" / "00000050.png").read_bytes() == imported["dcgan-mnist"].grids[50]["png"]
    assert (folder / "files" / "images" / "real" / "00000050.png").exists()

    table = parquet.read_table(write_parquet(run, tmp_path / "parquet") / "metrics.parquet").to_pylist()
    again: dict[str, dict[int, float]] = {}
    for entry in table:
        again.setdefault(entry["metric"], {})[entry["iteration"]] = entry["value"]
        assert entry["time"].isoformat(timespec="microseconds") == moments[entry["metric"]][entry["iteration"]]
    assert same(again, written)
    assert any(math.isnan(entry["value"]) for entry in table)


def test_an_export_that_breaks_leaves_nothing_under_its_name_and_goes_on_where_it_was(
    client: Client, imported: dict[str, Written], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ExportedRun.fetch(client, "tensors", with_files=True)
    downloads: list[str] = []
    real_download = client.download

    def break_off(sha256: str, path: Path) -> Path:
        if len(downloads) == 5:
            raise httpx.ReadError("The connection broke.")
        downloads.append(sha256)
        return real_download(sha256, path)

    monkeypatch.setattr(client, "download", break_off)
    with pytest.raises(httpx.ReadError):
        write_csv(run, tmp_path)
    assert not (tmp_path / run.folder_name).exists()

    def count(sha256: str, path: Path) -> Path:
        downloads.append(sha256)
        return real_download(sha256, path)

    monkeypatch.setattr(client, "download", count)
    folder = write_csv(run, tmp_path)
    assert len(downloads) == len(set(downloads)) == 10
    assert len(list((folder / "samples").iterdir())) == 10
    assert [path.name for path in tmp_path.iterdir()] == [run.folder_name]


def test_only_an_earlier_export_of_the_same_run_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(run_id: str, text: str) -> None:
        with whole_folder(tmp_path / "out", run_id, "csv") as folder:
            (folder / "metrics.csv").write_text(text)

    write("a", "one")
    write("a", "two")
    assert (tmp_path / "out" / "metrics.csv").read_text() == "two"
    with pytest.raises(ExportRefused, match="holds no csv of the run b"):
        write("b", "three")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    with pytest.raises(ExportRefused), whole_folder(tmp_path / "mine", "a", "csv"):
        pass
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years"
    # Control: without the mark the other run would be gone.
    monkeypatch.setattr(folders, "_read_mark", lambda path: "csv b")
    write("b", "three")
    assert (tmp_path / "out" / "metrics.csv").read_text() == "three"


def test_two_exports_do_not_write_one_folder(tmp_path: Path) -> None:
    with (
        whole_folder(tmp_path / "out", "a", "csv"),
        pytest.raises(ExportRefused, match="Another export"),
        whole_folder(tmp_path / "out", "a", "csv"),
    ):
        pass


def test_the_commands_import_once_and_export(
    ganvas: RunCommand, service: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_HOME", str(tmp_path / "home"))
    first = ganvas("import", FILES / "mlflow" / "mlruns", "--url", service.url)
    assert first.status == 0, first.err
    assert "dcgan-mnist (mlflow): 23 points, 2 grids, 2 other pictures, 1 file" in first.out
    again = ganvas("import", FILES / "mlflow" / "mlruns", "--url", service.url)
    assert again.out.count("nothing of it is new") == 2
    assert f"kept in {tmp_path / 'home' / 'runs'}, by which" in again.err
    cleared = ganvas("import", FILES / "mlflow" / "mlruns", "--clear", "--url", service.url)
    assert (cleared.status, list((tmp_path / "home" / "runs").iterdir())) == (0, [])
    with Client(service.url) as client:
        named = list(client.list(name="broken"))
        assert [(job.state, job.origin) for job in named] == [("failed", "mlflow")]
    out = ganvas("export", named[0].id, "--to", "csv", tmp_path / "out", "--url", service.url)
    assert out.status == 0, out.err
    assert (Path(out.out.strip()) / "metrics.csv").read_text().splitlines()[1].split(",")[1:5] == [
        "broken",
        "a",
        "0",
        "1.0",
    ]


def test_a_run_that_lost_its_folder_is_not_doubled(
    ganvas: RunCommand, service: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for home in ("one", "two"):
        monkeypatch.setenv("GANVAS_HOME", str(tmp_path / home))
        outcome = ganvas("import", FILES / "tensorboard" / "torch", "--url", service.url)
        assert outcome.status == 0, outcome.err
    assert "nothing new, succeeded" in outcome.out
    with Client(service.url) as client:
        assert len(list(client.list(name="torch"))) == 1


def test_a_dry_run_writes_nothing(ganvas: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_HOME", str(tmp_path / "home"))
    outcome = ganvas("import", FILES / "wandb", "--dry-run")
    assert "2 grids" in outcome.out
    assert not (tmp_path / "home").exists()


def test_what_cannot_be_imported_is_said(
    ganvas: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = ganvas("import", tmp_path)
    assert (empty.status, "Nothing in" in empty.err) == (1, True)
    several = ganvas("import", FILES / "mlflow" / "mlruns", "--name", "a", "--dry-run")
    assert several.status == 2
    assert "holds 2" in several.err


def test_a_run_that_has_grown_goes_on_at_the_service(
    ganvas: RunCommand, service: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_HOME", str(tmp_path / "home"))
    logs = Path(shutil.copytree(FILES / "tensorboard" / "tensors", tmp_path / "growing"))
    (file,) = logs.glob("events*")
    # A run of its own: the other tests import this one whole.
    file = file.rename(file.with_name(f"{file.name}.growing"))
    whole = file.read_bytes()
    counts = []
    for part in (whole[: len(whole) // 3], whole, whole):
        file.write_bytes(part)
        outcome = ganvas("import", logs, "--url", service.url)
        assert outcome.status == 0, outcome.err
        with Client(service.url) as client:
            (job,) = client.list(name="growing")
            counts.append((len(client.samples(job.id)), len(client.curve_columns(job.id)["loss"]), job.state))
    assert counts[0][0] < 10
    assert counts[1:] == [(10, 10, "succeeded")] * 2
    assert "nothing new" in outcome.out


def test_a_grown_run_whose_folder_is_gone_gets_what_is_new(
    ganvas: RunCommand, service: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = Path(shutil.copytree(FILES / "tensorboard" / "torch", tmp_path / "moved"))
    (file,) = logs.glob("events*")
    file = file.rename(file.with_name(f"{file.name}.moved"))
    whole = file.read_bytes()
    # The curves of subfolders come last, so the events of the grown run have other numbers.
    for part, home in ((whole[: len(whole) // 4], "one"), (whole, "two"), (whole, "two")):
        file.write_bytes(part)
        monkeypatch.setenv("GANVAS_HOME", str(tmp_path / home))
        outcome = ganvas("import", logs, "--url", service.url)
        assert outcome.status == 0, outcome.err
    with Client(service.url) as client:
        (job,) = client.list(name="moved")
        curves = client.curve_columns(job.id)
        assert {name: len(points) for name, points in curves.items()} == {
            "Loss/D(x)": 10, "loss_G": 10, "not finite": 3, "score/real": 1, "score/fake": 1, "best/fid": 1,
        }  # fmt: skip
        assert len(client.samples(job.id)) == 10
        assert (job.state, job.attempt) == ("succeeded", 2)
        assert [line.text for line in client.log(job.id).items].count("notes: Hinge loss, *batch* 64.") == 1


def test_a_comparison_is_one_file(
    ganvas: RunCommand, service: LiveService, imported: dict[str, Written], tmp_path: Path
) -> None:
    names = ("dcgan-mnist", "tensors")
    options = ("--to", "html", tmp_path, "--url", service.url)
    # By their ids: other tests import runs of the same names.
    with Client(service.url) as client:
        runs = [next(iter(client.list(name=name))).id for name in names]
    out = ganvas("export", *runs, "--together", "--metric", "loss", "--max-size", "5", *options)
    assert out.status == 0, out.err
    (file,) = tmp_path.iterdir()
    assert out.out.strip() == str(file)
    html = file.read_text(encoding="utf-8")
    assert all(name in html for name in names)
    # It opens without the service: nothing in it is loaded from anywhere.
    assert "data:image/png;base64," in html
    assert not re.search(r"""(?:src|href)=["'](?:https?:|/)""", html)
    assert "--together compares two to 10 runs; 1 given" in ganvas("export", runs[0], "--together", *options).err
    table = ganvas("export", *runs, "--together", "--to", "csv", tmp_path, "--url", service.url)
    assert (table.status, "--together is for --to html" in table.err) == (2, True)
    assert "--metric is for --together" in ganvas("export", *runs, "--metric", "loss", *options).err
