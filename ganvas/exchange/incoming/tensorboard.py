"""Runs of a TensorBoard log folder: each folder with event files is one, as TensorBoard itself shows them.

What one writer of PyTorch spreads over subfolders is one run here: `add_scalars` makes a folder for each of its
curves, `add_hparams` one for the settings and the final metrics.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganvas.exchange.incoming.event_files import ValueReader, read_events
from ganvas.exchange.records import (
    Distribution,
    End,
    Line,
    Losses,
    Pictures,
    Points,
    Record,
    SourceRun,
    SourceUnreadable,
)

_NUMBERED = re.compile(r"(.+?)(?:/image)?/(\d+)")
# Of plugin_data.proto: Status.
_STATUS: dict[int, End] = {1: "succeeded", 2: "failed"}
_MAX_NOTE = 2000
# Of event.proto: SessionLog.START.
_START = 1


def is_source(path: Path) -> bool:
    """Return whether this is an event file, or a folder with event files in it or below."""
    return next(_list_files(path), None) is not None


def find_runs(path: Path) -> Iterator[SourceRun]:
    """Yield the runs of an event file or a folder; raises SourceUnreadable where there are none."""
    folders: dict[Path, list[Path]] = {}
    for file in _list_files(path):
        folders.setdefault(file.parent, []).append(file)
    if not folders:
        raise SourceUnreadable(
            f"{path} has no event files (…tfevents…) in it; name the folder of a run or of runs."
        )
    top = path.parent if path.is_file() else path
    for run in _gather(folders):
        yield run.open(top)


def _list_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        return iter([path] if "tfevents" in path.name else [])
    # By name, which begins with the time of the writer's start.
    files = (
        file for file in path.rglob("*tfevents*") if file.is_file() and not file.name.endswith(".profile-empty")
    )
    return iter(sorted(files, key=lambda file: (file.parent, _start_of(file), file.name)))


def _start_of(file: Path) -> int:
    found = re.search(r"tfevents\.(\d+)", file.name)
    return int(found.group(1)) if found else 0


@dataclass
class _Survey:
    """What a first look at a folder's files finds: names alone, no values."""

    scalars: set[str] = field(default_factory=set)
    images: list[str] = field(default_factory=list)
    # How many numbered pictures, such as samples/0 and samples/1, belong to one group.
    config: dict[str, Any] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    status: int | None = None
    first_at: float | None = None
    last_at: float | None = None
    # Where a writer began anew, as (file, event), and at which step: what came before from that step on is void.
    restarts: list[tuple[tuple[int, int], int]] = field(default_factory=list)

    def read(self, files: Sequence[Path]) -> "_Survey":
        losses = Losses()
        reader = ValueReader(losses)
        for place, event in _number_events(files, losses):
            if event.HasField("session_log") and event.session_log.status == _START:
                self.restarts.append((place, event.step))
            if event.wall_time:
                self.first_at = min(self.first_at or event.wall_time, event.wall_time)
                self.last_at = max(self.last_at or event.wall_time, event.wall_time)
            for value in event.summary.value:
                self._note(reader, event, value)
        self.config, self.status = reader.config, reader.status
        return self

    def _note(self, reader: ValueReader, event: Any, value: Any) -> None:
        plugin = reader.plugin(value)
        if plugin == "scalars":
            self.scalars.add(value.tag)
        elif plugin == "images" and value.tag not in self.images:
            self.images.append(value.tag)
        elif plugin == "hparams":
            list(reader.read(event, value))
        elif plugin == "text":
            self.texts += [record.text for record in reader.read(event, value) if isinstance(record, Line)]


@dataclass
class _Run:
    """A folder of event files, with those of its subfolders that belong to it: (files, how tags are renamed)."""

    folder: Path
    files: list[Path]
    survey: _Survey
    parts: list[tuple[list[Path], dict[str, str], _Survey]] = field(default_factory=list)

    def open(self, top: Path) -> SourceRun:
        surveys = [self.survey, *(survey for *_, survey in self.parts)]
        config = {name: value for survey in surveys for name, value in survey.config.items()}
        status = next((survey.status for survey in surveys if survey.status is not None), None)
        groups = _group_numbered(self.survey.images)
        tags = [groups.get(tag, (tag, 0))[0] for tag in self.survey.images]
        inner = self.folder.relative_to(top).as_posix()
        name = top.resolve().name if inner == "." else f"{top.resolve().name}/{inner}"
        firsts = [survey.first_at for survey in surveys if survey.first_at]
        return SourceRun(
            origin="tensorboard",
            identity=_identify(self.files[0]),
            name=name,
            source=str(self.folder.resolve()),
            read=lambda losses: self._read(groups, losses),
            config=config,
            note="\n".join(dict.fromkeys(self.survey.texts))[:_MAX_NOTE],
            image_tags=list(dict.fromkeys(tags)),
            started_at=min(firsts, default=None),
            ended_at=max((survey.last_at for survey in surveys if survey.last_at), default=None),
            end=_STATUS.get(status or 0, "succeeded"),
            reason="" if status in _STATUS else "The event files do not say how the run ended.",
        )

    def _read(self, groups: dict[str, tuple[str, int]], losses: Losses) -> Iterator[Record]:
        pending: dict[str, dict[int, Pictures]] = {}
        reader = ValueReader(losses)
        for record in _read_files(self.files, self.survey, reader, losses):
            if isinstance(record, Pictures) and record.tag in groups:
                yield from _collect(pending, record, *groups[record.tag])
            else:
                yield record
        for group in sorted(pending):
            yield _join(group, pending[group])
        for files, names, survey in self.parts:
            for record in _read_files(files, survey, ValueReader(losses), losses):
                if isinstance(record, Points):
                    values = {names.get(tag, tag): value for tag, value in record.values.items()}
                    yield Points(record.step, values, record.at)
                else:
                    yield record


def _gather(folders: dict[Path, list[Path]]) -> Iterator[_Run]:
    runs: dict[Path, _Run] = {}
    for folder in sorted(folders):
        survey = _Survey().read(folders[folder])
        parent = next((runs[above] for above in folder.parents if above in runs), None)
        names = None if parent is None else _find_part(folder.relative_to(parent.folder), survey)
        if parent is None or names is None:
            runs[folder] = _Run(folder, folders[folder], survey)
        else:
            parent.parts.append((folders[folder], names, survey))
    yield from runs.values()


def _find_part(inner: Path, survey: _Survey) -> dict[str, str] | None:
    """Return how the tags of a subfolder's part of a run are to be called; None if it is a run of its own.

    inner: the subfolder's path in that of the run.
    """
    if survey.config and not survey.images:
        return {}
    if len(survey.scalars) != 1 or survey.images:
        return None
    (tag,) = survey.scalars
    # torch writes tag_curve with slashes replaced, tensorboardX tag/curve.
    path = inner.as_posix()
    for start in (f"{tag.replace('/', '_')}_", f"{tag}/"):
        if path.startswith(start) and len(path) > len(start):
            return {tag: f"{tag}/{path[len(start) :]}"}
    return None


def _number_events(files: Sequence[Path], losses: Losses) -> Iterator[tuple[tuple[int, int], Any]]:
    """Yield the events of all files in order, each with its file's number and its own in that."""
    for number, file in enumerate(files):
        for place, event in enumerate(read_events(file, losses)):
            yield (number, place), event


def _read_files(files: Sequence[Path], survey: _Survey, reader: ValueReader, losses: Losses) -> Iterator[Record]:
    """Yield what the files hold; what a later restart made void is left out, as TensorBoard does."""
    waiting: Points | None = None
    for place, event in _number_events(files, losses):
        is_void = any(place < later and event.step >= step for later, step in survey.restarts)
        for value in event.summary.value:
            # Read all the same: the first value of a tag names its plugin.
            for record in reader.read(event, value):
                if is_void and isinstance(record, (Points, Pictures, Distribution)):
                    continue
                joined = _join_points(waiting, record)
                if joined is None and waiting is not None:
                    yield waiting
                waiting = joined or (record if isinstance(record, Points) else None)
                if not isinstance(record, Points):
                    yield record
    if waiting is not None:
        yield waiting


def _join_points(earlier: Points | None, record: Record) -> Points | None:
    """Return both as one if they are different metrics of one step, logged within a second."""
    if earlier is None or not isinstance(record, Points) or record.step != earlier.step:
        return None
    is_apart = abs((record.at or 0) - (earlier.at or 0)) > 1.0
    if is_apart or earlier.values.keys() & record.values.keys() or len(earlier.values) >= 64:
        return None
    return Points(earlier.step, {**earlier.values, **record.values}, earlier.at)


def _group_numbered(tags: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return group and number of the tags that name the images of one series one by one: samples/0, samples/1."""
    found = {tag: match for tag in tags if (match := _NUMBERED.fullmatch(tag))}
    sizes: dict[str, int] = {}
    for match in found.values():
        sizes[match.group(1)] = sizes.get(match.group(1), 0) + 1
    return {
        tag: (match.group(1), int(match.group(2)))
        for tag, match in found.items()
        if sizes[match.group(1)] > 1 and match.group(1) not in tags
    }


def _collect(
    pending: dict[str, dict[int, Pictures]], record: Pictures, group: str, number: int
) -> Iterator[Pictures]:
    """Keep a picture until its group goes on to another step, or comes to the same number again."""
    kept = pending.setdefault(group, {})
    if kept and (next(iter(kept.values())).step != record.step or number in kept):
        yield _join(group, kept)
        kept.clear()
    kept[number] = record


def _join(group: str, kept: dict[int, Pictures]) -> Pictures:
    pictures = [kept[number] for number in sorted(kept)]
    images = tuple(image for picture in pictures for image in picture.images)
    return Pictures(group, pictures[0].step, images, pictures[0].at)


def _identify(file: Path) -> bytes:
    """Return what tells a writer's first file from all others: its first record, with its time, and its name."""
    with file.open("rb") as opened:
        head = opened.read(12)
        length = min(int.from_bytes(head[:8], "little"), 4096)
        return head + opened.read(length + 4) + file.name.encode()
