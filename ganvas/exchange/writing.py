"""Writes the records of an import into a run's folder, and leaves out what the folder holds already."""

import base64
import hashlib
import json
import math
import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganlib.events import show_float
from ganlib.spec.storable import LARGEST_INTEGER, LEAST_INTEGER, replace_all, replace_unstorable
from ganlib.vocabulary.losses import find_role
from ganvas.exchange.naming import clean_file_name, clean_metric_name, clean_tag, replace_unprintable
from ganvas.exchange.pictures import Grid, PictureRefused, make_grid
from ganvas.exchange.records import (
    Attachment,
    Distribution,
    Line,
    Losses,
    Pictures,
    Points,
    Record,
    SourceRun,
)
from ganvas.tracking.folder import RunFolder
from ganvas.tracking.sender.diagnosis import Diagnosis

MAX_STEP, MAX_FILE_NAME, MAX_TEXT = 1_000_000_000, 500, 4000
_MAX_TAGS = 32
_VALUES_OF_ONE_EVENT = 256
_SAMPLES = re.compile(r"fake|sample|generat|synth|recon", re.IGNORECASE)
_MAX_RUN_NAME = 100
_EXAMINED_GRIDS = 64
SIGNALS = "signals/"


@dataclass
class Imported:
    """What an import wrote: how many of each, and how many of them were not there before."""

    points: int = 0
    # Points that came again at a step of their curve.
    replaced: int = 0
    grids: int = 0
    pictures: int = 0
    histograms: int = 0
    lines: int = 0
    files: int = 0
    # Reports of faults that rules found in its grids and losses.
    findings: int = 0
    new_events: int = 0
    losses: Losses = field(default_factory=Losses)

    def describe(self) -> str:
        """Return the counts in words: 1,200 points, 50 grids."""
        words = {
            "points": self.points, "grids": self.grids, "other pictures": self.pictures,
            "histograms": self.histograms, "lines": self.lines, "files": self.files,
        }  # fmt: skip
        parts = [f"{count:,} {word if count != 1 else word[:-1]}" for word, count in words.items() if count]
        if self.replaced:
            each, counts = (
                ("1 is", "it counts") if self.replaced == 1 else (f"{self.replaced:,} are", "they count")
            )
            parts[0] += f" ({each} of a step that was logged before: {counts} instead of the earlier)"
        return ", ".join(parts) or "nothing"


def make_key(run: SourceRun) -> str:
    """Return the key of a run, which is the same whenever and from wherever it is imported."""
    digest = hashlib.sha256(run.origin.encode() + b"\0" + run.identity).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


def make_opening(run: SourceRun, name: str | None = None) -> dict[str, Any]:
    """Return the body that opens the run at a service."""
    title = replace_unstorable(name or run.name).strip()
    return {
        "key": make_key(run),
        "attempt": 1,
        "name": replace_unprintable(title)[:_MAX_RUN_NAME] or run.origin,
        "config": storable(run.config),
        "tags": list(dict.fromkeys(filter(None, map(clean_tag, run.tags))))[:_MAX_TAGS],
        "note": replace_unstorable(run.note)[:10_000],
        "origin": run.origin,
        "source": replace_unstorable(run.source)[:1000],
        "iterations": run.iterations,
        "started_at": moment(run.started_at),
        "resume_at": None,
        "writer": "".join(filter(str.isprintable, run.writer))[:200] or "ganvas import",
        "provenance": run.provenance,
    }


def choose_timeline(tags: Sequence[str], asked: str | None = None) -> str | None:
    """Return the image tag that is the run's timeline: the one asked for, else the first that sounds like samples.

    Runs log the real images first as often as not, so the first of all is the last choice.
    """
    if asked is not None:
        return asked if asked in tags else None
    return next((tag for tag in tags if _SAMPLES.search(tag)), tags[0] if tags else None)


def write_run(
    run: SourceRun,
    path: Path,
    *,
    name: str | None = None,
    timeline: str | None = None,
    losses: Losses | None = None,
) -> Imported:
    """Write a run into the folder at `path`, or add to the one that is there what is new; raises OSError.

    timeline: the image tag whose pictures are the sample grids.
    """
    imported = Imported(losses=losses or Losses())
    opening = make_opening(run, name)
    exists = RunFolder(path).holds_run()
    ended = RunFolder(path).read_end() if exists else None
    with RunFolder.reopen(path) if exists else RunFolder.create(path, opening) as folder:
        if exists:
            # A name that was given at the first import stays.
            folder.write_header(opening if name else {**opening, "name": folder.read_header()["name"]})
        writer = _Writer(folder, imported, timeline, moment(run.started_at))
        first_new = folder.next_seq
        for record in run.read(imported.losses):
            writer.add(record)
        if imported.new_events:
            imported.findings = _examine(folder, first_new, has_signals=writer.has_signals)
        if run.end is not None:
            code = "succeeded" if run.end == "succeeded" else "ended_elsewhere"
            reason = {"code": code, "message": run.reason} if run.reason else None
            kept = ended["ended_at"] if ended and not imported.new_events else None
            folder.end(run.end, reason, kept or moment(run.ended_at))
    return imported


def count_run(run: SourceRun, *, timeline: str | None = None, losses: Losses | None = None) -> Imported:
    """Read a run as `write_run` does, and write nothing."""
    imported = Imported(losses=losses or Losses())
    writer = _Writer(None, imported, timeline)
    for record in run.read(imported.losses):
        writer.add(record)
    return imported


def _examine(folder: RunFolder, first_new: int, *, has_signals: bool) -> int:
    """Have the rules look at the grids and losses of a run's folder; return how many reports of faults came of it.

    first_new: nothing is said of what was examined at an earlier import. has_signals: Ganvas itself exported the
    run, and rules look at the signals that it brings along.
    """
    listed = _list_measured(folder) if has_signals else _list_examined(folder)
    rows = sorted(listed, key=lambda row: (row["event"]["iteration"], row["seq"]))
    times = {row["event"]["iteration"]: row["at"] for row in rows}
    diagnosis = Diagnosis(folder, folder.read_header(), first_new)
    found = diagnosis.examine_whole(rows, _EXAMINED_GRIDS, has_signals=has_signals)
    for event in found:
        folder.append(event, times[event["iteration"]])
    return sum(event["kind"] == "finding_reported" for event in found)


def _list_examined(folder: RunFolder) -> Iterator[dict[str, Any]]:
    for row in folder.read_events():
        event = row["event"]
        if event["kind"] == "metrics_logged":
            losses = {name: value for name, value in event["values"].items() if find_role(name) is not None}
            if losses:
                yield {**row, "event": {**event, "values": losses}}
        elif event["kind"] == "sample_grid_saved":
            yield row


def _list_measured(folder: RunFolder) -> Iterable[dict[str, Any]]:
    """Return a row for each iteration that has signals or losses, and the grids."""
    measured: dict[int, dict[str, Any]] = {}
    for row in folder.read_events():
        event = row["event"]
        if event["kind"] == "sample_grid_saved":
            yield row
        elif event["kind"] == "metrics_logged":
            values = {
                name: value
                for name, value in event["values"].items()
                if name.startswith(SIGNALS) or find_role(name) is not None
            }
            known = measured.get(event["iteration"], row)["event"]["values"] if values else {}
            if values:
                merged = {**event, "values": {**known, **values}}
                measured[event["iteration"]] = {**row, "event": merged}
    yield from measured.values()


class _Writer:
    """Turns records into events."""

    def __init__(
        self, folder: RunFolder | None, imported: Imported, timeline: str | None, started_at: str | None = None
    ) -> None:
        self._folder = folder
        self._imported = imported
        self._timeline = timeline
        # For records without a time.
        self._started_at = started_at or EPOCH
        self._known = Counter(_list_known(folder)) if folder is not None else Counter()
        self.has_signals = False
        # Of each curve, rising; eight bytes a point.
        self._steps: dict[str, array[int]] = {}

    def add(self, record: Record) -> None:
        """Write one record, unless it is known; what no run can hold is counted as lost."""
        if not 0 <= record.step <= MAX_STEP:
            self._imported.losses.add("records at steps below 0 or above 1,000,000,000", f"step {record.step}")
            return
        match record:
            case Points():
                self._add_points(record)
            case Pictures():
                self._add_pictures(record)
            case Distribution():
                self._add_histogram(record)
            case Line():
                self._add_line(record)
            case Attachment():
                self._add_file(record, record.content, record.name, record.media_type)
                self._imported.files += 1

    def _add_points(self, record: Points) -> None:
        values: dict[str, float] = {}
        for name, value in record.values.items():
            clean = clean_metric_name(name)
            self._imported.points += 1
            self.has_signals = self.has_signals or clean.startswith(SIGNALS)
            self._imported.replaced += self._comes_again(clean, record.step)
            if not self._is_known(_point_key(clean, record.step, value)):
                values[clean] = value
        names = list(values)
        for start in range(0, len(names), _VALUES_OF_ONE_EVENT):
            part = {name: show_float(values[name]) for name in names[start : start + _VALUES_OF_ONE_EVENT]}
            self._append({"kind": "metrics_logged", "iteration": record.step, "values": part}, record.at)

    def _comes_again(self, name: str, step: int) -> bool:
        """Note a point, and say whether its curve has one at this step."""
        steps = self._steps.setdefault(name, array("q"))
        place = len(steps) if not steps or steps[-1] < step else bisect_left(steps, step)
        if place < len(steps) and steps[place] == step:
            return True
        steps.insert(place, step)
        return False

    def _add_pictures(self, record: Pictures) -> None:
        try:
            grid = make_grid(record.images, record.columns)
        except PictureRefused as error:
            self._keep_refused(record, str(error))
            return
        if record.tag == self._timeline:
            self._add_grid(record, grid)
            self._imported.grids += 1
        else:
            name = f"images/{clean_file_name(record.tag, 170)}/{record.step:08d}.png"
            self._add_file(record, grid.png, name, "image/png")
            self._imported.pictures += 1

    def _keep_refused(self, record: Pictures, why: str) -> None:
        """Keep the bytes of what is no picture for a timeline, as files; say so."""
        self._imported.losses.add("pictures kept as plain files", f"{record.tag} at step {record.step}: {why}")
        for number, image in enumerate(record.images):
            name = f"images.unread/{clean_file_name(record.tag, 160)}/{record.step:08d}-{number}"
            self._add_file(record, image, name, "application/octet-stream")
            self._imported.files += 1

    def _add_grid(self, record: Pictures, grid: Grid) -> None:
        event = {
            "kind": "sample_grid_saved", "iteration": record.step, "rows": grid.rows, "columns": grid.columns,
            "cell_width": grid.cell_width, "cell_height": grid.cell_height, "latents_sha256": None,
        }  # fmt: skip
        self._append_with_file(event, grid.png, record.at)

    def _add_file(self, record: Pictures | Attachment, content: bytes | Path, name: str, media_type: str) -> None:
        event = {
            "kind": "file_saved", "iteration": record.step, "name": clean_file_name(name, MAX_FILE_NAME),
            "media_type": media_type,
        }  # fmt: skip
        self._append_with_file(event, content, record.at)

    def _add_histogram(self, record: Distribution) -> None:
        self._imported.histograms += 1
        histogram = record.histogram.model_dump(mode="json")
        named = {clean_metric_name(record.name): histogram}
        event = {"kind": "histograms_logged", "iteration": record.step, "histograms": named}
        if not self._is_known(_event_key(event)):
            self._append(event, record.at)

    def _add_line(self, record: Line) -> None:
        self._imported.lines += 1
        text = replace_unstorable(record.text)
        if len(text) > MAX_TEXT:
            self._imported.losses.add("texts cut to 4,000 characters", f"step {record.step}")
        event = {"kind": "line_logged", "iteration": record.step, "level": record.level, "text": text[:MAX_TEXT]}
        if not self._is_known(_event_key(event)):
            self._append(event, record.at)

    def _append_with_file(self, event: dict[str, Any], content: bytes | Path, at: float | None) -> None:
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        stored = {"path": "", "sha256": _hash(content), "size": size}
        if self._is_known(_event_key({**event, "file": stored})):
            return
        if self._folder is not None:
            stored = self._folder.add_file(content)
        self._append({**event, "file": stored}, at)

    def _append(self, event: dict[str, Any], at: float | None) -> None:
        self._imported.new_events += 1
        if self._folder is not None:
            self._folder.append(event, moment(at) or self._started_at)

    def _is_known(self, key: int) -> bool:
        if self._known[key] <= 0:
            return False
        self._known[key] -= 1
        return True


EPOCH = datetime(1970, 1, 1, tzinfo=UTC).isoformat()


def _list_known(folder: RunFolder) -> Iterator[int]:
    """Yield a number for each thing that the folder holds; equal things have equal numbers."""
    for line in folder.read_events():
        event = line["event"]
        if event["kind"] == "metrics_logged":
            for name, value in event["values"].items():
                yield _point_key(name, event["iteration"], float(value))
        else:
            yield _event_key(event)


def _point_key(name: str, step: int, value: float) -> int:
    return hash((name, step, value if value == value else "nan"))


def _event_key(event: dict[str, Any]) -> int:
    # Where a file's bytes lie is not what it is.
    if "file" in event:
        event = {**event, "file": [event["file"]["sha256"], event["file"]["size"]]}
    return hash(json.dumps(event, sort_keys=True))


def _hash(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def moment(at: float | None) -> str | None:
    """Return seconds since 1970 as the text of an event's time; None for what is no time."""
    if at is None or not math.isfinite(at) or at <= 0:
        return None
    try:
        return datetime.fromtimestamp(at, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None


def storable(value: Any) -> Any:
    """Return settings as JSON that a database can hold: what is no JSON becomes text."""
    if isinstance(value, dict):
        return {replace_unstorable(str(name)): storable(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(part) for part in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return show_float(value)
    if isinstance(value, int):
        return value if LEAST_INTEGER <= value <= LARGEST_INTEGER else str(value)
    return replace_all(value) if isinstance(value, str) else replace_unstorable(str(value))
