"""A run in MLflow's file layout: a folder `mlruns` that mlflow reads (`--backend-store-uri`)."""

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from ganlib.runtime.files import replace_text
from ganvas.exchange.outgoing.folders import whole_folder
from ganvas.exchange.outgoing.runs import ExportedRun, is_picture_of_series, series_of
from ganvas.exchange.outgoing.tensorboard import SAMPLES, flatten

EXPERIMENT = "ganvas"
# As MLflow names statuses in its files.
_STATUS = {"queued": 2, "running": 1, "succeeded": 3, "failed": 4, "cancelled": 5}
_FORBIDDEN = re.compile(r"[^\w.\- :/]", re.ASCII)
_MAX_PARAM = 6000
_THUMBNAIL = 256


def write_mlflow(run: ExportedRun, home: Path) -> Path:
    """Write the run into the experiment `ganvas` of the file store `home`; returns the run's folder.

    What MLflow does not allow in a name becomes _; the tag `ganvas.names` has the names as they were.
    """
    home.mkdir(parents=True, exist_ok=True)
    experiment = _make_experiment(home.resolve())
    run_id = hashlib.sha256(run.job.id.encode()).hexdigest()[:32]
    final = experiment / run_id
    with whole_folder(final, run.job.id, "mlflow") as folder:
        for name in ("metrics", "params", "tags", "artifacts"):
            (folder / name).mkdir(exist_ok=True)
        renamed = _write_metrics(run, folder / "metrics")
        renamed |= _write_params(run, folder / "params")
        _write_texts(folder / "tags", _make_tags(run, renamed))
        _write_pictures(run, folder / "artifacts" / "images")
        if run.with_files:
            run.files = [each for each in run.files if not is_picture_of_series(each)]
            run.save_files(folder / "artifacts")
        meta = _describe(run, run_id, experiment.name, (final / "artifacts").as_uri())
        (folder / "meta.yaml").write_text(yaml.safe_dump(meta), encoding="utf-8")
    return final


def _make_experiment(home: Path) -> Path:
    """Return the folder of the experiment `ganvas`, which is made if it is missing."""
    (home / ".trash").mkdir(exist_ok=True)
    experiment_id = str(int(hashlib.sha256(EXPERIMENT.encode()).hexdigest()[:14], 16))
    for name, each_id in (("Default", "0"), (EXPERIMENT, experiment_id)):
        folder = home / each_id
        folder.mkdir(exist_ok=True)
        if not (folder / "meta.yaml").exists():
            meta = {
                "artifact_location": folder.as_uri(), "experiment_id": each_id, "lifecycle_stage": "active",
                "name": name, "creation_time": 0, "last_update_time": 0,
            }  # fmt: skip
            replace_text(folder / "meta.yaml", yaml.safe_dump(meta))
    return home / experiment_id


def _describe(run: ExportedRun, run_id: str, experiment_id: str, artifacts: str) -> dict[str, Any]:
    ended = run.job.ended_at
    return {
        "artifact_uri": artifacts, "end_time": None if ended is None else _milliseconds(ended),
        "entry_point_name": "", "experiment_id": experiment_id, "lifecycle_stage": "active", "run_id": run_id,
        "run_name": run.job.name, "run_uuid": run_id, "source_name": "", "source_type": 4, "source_version": "",
        "start_time": _milliseconds(run.began_at), "status": _STATUS[run.job.state], "tags": [],
        "user_id": "ganvas",
    }  # fmt: skip


def _milliseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1000)


def _clean(name: str, taken: dict[str, str]) -> str:
    """Return a name that MLflow allows, and that no other one has become; notes it in `taken`."""
    clean = _FORBIDDEN.sub("_", name).strip("/") or "_"
    # Neither a way out of the folder nor a folder where a file is.
    clean = "/".join(part if part.strip(".") else "_" * max(len(part), 1) for part in clean.split("/"))[:240]
    number = 1
    while taken.get(clean, name) != name or _is_under_another(clean, taken):
        number += 1
        clean = f"{_FORBIDDEN.sub('_', name).replace('/', '_')[:235]}_{number}"
    taken[clean] = name
    return clean


def _is_under_another(clean: str, taken: dict[str, str]) -> bool:
    others = (other for other in taken if other != clean)
    return any(clean.startswith(f"{other}/") or other.startswith(f"{clean}/") for other in others)


def _write_metrics(run: ExportedRun, folder: Path) -> dict[str, str]:
    taken: dict[str, str] = {}
    for name, points in run.curves.items():
        path = folder / _clean(name, taken)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            file.writelines(
                f"{_milliseconds(at)} {value!r} {step}\n"
                for step, value, at in zip(points.iterations, points.values, run.times(points), strict=True)
            )
    return {clean: name for clean, name in taken.items() if clean != name}


def _write_params(run: ExportedRun, folder: Path) -> dict[str, str]:
    taken: dict[str, str] = {}
    for name, value in flatten(run.config).items():
        _write_texts(folder, {_clean(name, taken): str(value)[:_MAX_PARAM]})
    return {clean: name for clean, name in taken.items() if clean != name}


def _write_texts(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _make_tags(run: ExportedRun, renamed: dict[str, str]) -> dict[str, str]:
    tags = {
        "mlflow.runName": run.job.name, "mlflow.user": "ganvas", "mlflow.source.type": "LOCAL",
        "ganvas.run": run.job.id, "ganvas.tags": ", ".join(run.job.tags),
        "mlflow.note.content": run.job.note, "mlflow.source.git.commit": run.job.commit or "",
        "ganvas.names": "\n".join(f"{clean}: {name}" for clean, name in renamed.items()),
        "mlflow.loggedImages": "true" if run.samples or any(map(is_picture_of_series, run.files)) else "",
    }  # fmt: skip
    return {name: text for name, text in tags.items() if text}


def _list_pictures(run: ExportedRun) -> Iterator[tuple[str, int, str]]:
    yield from ((SAMPLES, sample.iteration, sample.sha256) for sample in run.samples)
    yield from ((series_of(file), file.iteration, file.sha256) for file in run.files if is_picture_of_series(file))


def _write_pictures(run: ExportedRun, folder: Path) -> None:
    """Write pictures as `mlflow.log_image` does, each with the small copy that its pages show."""
    began = _milliseconds(run.began_at)
    for key, step, sha256 in _list_pictures(run):
        name = _FORBIDDEN.sub("_", key).replace("/", "~").lstrip(".")
        start = f"{name[:100]}+step+{step}+timestamp+{began}+{sha256[:8]}-{sha256[8:12]}-4000-8000-{sha256[12:24]}"
        png = run.save(sha256, folder / f"{start}.png")
        small = folder / f"{start}+compressed.webp"
        if not small.exists():
            with Image.open(io.BytesIO(png.read_bytes())) as image:
                copy = image.convert("RGB")
            copy.thumbnail((_THUMBNAIL, _THUMBNAIL))
            copy.save(small, format="WEBP", quality=60)
