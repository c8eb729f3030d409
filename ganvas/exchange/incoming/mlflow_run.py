"""A run of MLflow, wherever it is stored: what its params, tags, metrics and artifacts are in a run of Ganvas."""

import mimetypes
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ganvas.exchange.records import Attachment, End, Losses, Pictures, Points, Record, SourceRun

_ENDS: dict[str, End | None] = {
    "FINISHED": "succeeded", "FAILED": "failed", "KILLED": "cancelled", "RUNNING": None, "SCHEDULED": None,
}  # fmt: skip
# As `mlflow.log_image(image, key=…, step=…)` names them; older versions wrote % for + and # for ~.
_LOGGED = re.compile(r"images/(.+?)([+%])step\2(\d+)\2timestamp\2(\d+)\2[^/]*\.(png|jpe?g)", re.IGNORECASE)
_SMALL_COPY = re.compile(r"images/.+[+%]step[+%].+[+%]compressed\.webp")
# As people name them: samples_000100.png, epoch-3.jpg, real/0050.png.
_NUMBERED = re.compile(
    r"(.*?)[ _./=-]*(?:(?:step|epoch|iteration|iter|it)[ _=-]*)?(\d{1,9})\.(?:png|jpe?g|bmp|webp)", re.IGNORECASE
)
# Infinities, as a database of MLflow stores them.
_LARGEST = 1.7976931348623157e308


class Metric(NamedTuple):
    """One value; timestamp in milliseconds."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass
class MlflowRun:
    """One run with access to what is large. status: FINISHED, …; times in milliseconds."""

    run_id: str
    name: str
    experiment: str
    status: str
    start_time: int | None
    end_time: int | None
    source: str
    read_metrics: Callable[[Losses], Iterable[Metric]]
    artifacts: Sequence[str]
    open_artifact: Callable[[str, Losses], bytes | Path | None]
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def describe_run(run: MlflowRun) -> SourceRun:
    """Return the run as an import reads it."""
    pictures = _find_pictures(run.artifacts)
    own = {name: value for name, value in run.tags.items() if not name.startswith("mlflow.")}
    commit = run.tags.get("mlflow.source.git.commit", "")
    command = run.tags.get("mlflow.source.name", "")
    provenance: dict[str, Any] = {"command": command[:500]} if command else {}
    if re.fullmatch(r"[0-9a-f]{40}", commit):
        provenance["commit"] = commit
    return SourceRun(
        origin="mlflow",
        identity=run.run_id.encode(),
        name=run.name or run.tags.get("mlflow.runName") or run.run_id,
        source=run.source,
        read=lambda losses: _read(run, pictures, losses),
        config={name: read_param(value) for name, value in run.params.items()},
        tags=[run.experiment, *(f"{name}:{value}" if value else name for name, value in own.items())],
        note=run.tags.get("mlflow.note.content", ""),
        image_tags=list(dict.fromkeys(picture.tag for picture in pictures.values())),
        started_at=_seconds(run.start_time),
        ended_at=_seconds(run.end_time),
        end=_ENDS.get(run.status, "succeeded"),
        reason="" if run.status == "FINISHED" else f"MLflow's status of the run is {run.status}.",
        writer=run.tags.get("mlflow.user", ""),
        provenance=provenance,
    )


def read_param(text: str) -> Any:
    """Return the number or truth that a param's text was made of, if writing it again gives the same text."""
    for read in (int, float):
        try:
            value = read(text)
        except ValueError:
            continue
        if str(value) == text:
            return value
    return {"True": True, "False": False}.get(text, text)


def restore_infinity(value: float) -> float:
    """Return the infinity for which a database of MLflow stores the largest number."""
    return float("inf") if value == _LARGEST else float("-inf") if value == -_LARGEST else value


class _Picture(NamedTuple):
    tag: str
    step: int
    at: float | None


def _find_pictures(artifacts: Sequence[str]) -> dict[str, _Picture]:
    """Return the artifacts that are pictures of a series, by their path."""
    found: dict[str, _Picture] = {}
    numbered: dict[str, dict[str, int]] = {}
    for path in artifacts:
        if match := _LOGGED.fullmatch(path):
            tag = re.sub("[~#]", "/", match.group(1))
            found[path] = _Picture(tag, int(match.group(3)), int(match.group(4)) / 1000)
        elif match := _NUMBERED.fullmatch(path):
            numbered.setdefault(match.group(1) or "images", {})[path] = int(match.group(2))
    for tag, paths in numbered.items():
        # A single picture is no series, and neither are several of one number.
        if len(set(paths.values())) == len(paths) > 1:
            found |= {path: _Picture(tag, step, None) for path, step in paths.items()}
    return found


def _read(run: MlflowRun, pictures: dict[str, _Picture], losses: Losses) -> Iterator[Record]:
    last = 0
    for points in _group(sorted(run.read_metrics(losses), key=lambda metric: metric.timestamp)):
        last = max(last, points.step)
        yield points
    for path in sorted(
        pictures, key=lambda path: (pictures[path].tag, pictures[path].step, pictures[path].at or 0)
    ):
        content = run.open_artifact(path, losses)
        if content is not None:
            tag, step, at = pictures[path]
            image = content if isinstance(content, bytes) else content.read_bytes()
            yield Pictures(tag, step, (image,), at)
    for path in run.artifacts:
        if path in pictures or _SMALL_COPY.fullmatch(path):
            continue
        content = run.open_artifact(path, losses)
        if content is not None:
            media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
            yield Attachment(path, last, content, media_type, _seconds(run.end_time))


def _group(metrics: Iterable[Metric]) -> Iterator[Points]:
    """Join what was logged at one moment for one step."""
    values: dict[str, float] = {}
    moment: tuple[int, int] | None = None
    for metric in metrics:
        if (metric.timestamp, metric.step) != moment or metric.key in values:
            if values and moment is not None:
                yield Points(moment[1], values, _seconds(moment[0]))
            values, moment = {}, (metric.timestamp, metric.step)
        values[metric.key] = metric.value
    if values and moment is not None:
        yield Points(moment[1], values, _seconds(moment[0]))


def _seconds(milliseconds: int | None) -> float | None:
    return milliseconds / 1000 if milliseconds else None
