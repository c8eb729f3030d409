"""Runs of Weights & Biases: the folders that `WANDB_MODE=offline` leaves, or those of sent runs."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ganvas.exchange.incoming.media import Folder, read_histogram, to_number
from ganvas.exchange.incoming.wandb_log import read_messages
from ganvas.exchange.records import (
    Attachment,
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

_HIDDEN = "_"
_LEVELS: dict[str, Literal["info", "warning", "error"]] = {"WARN": "warning", "ERROR": "error"}
_IMAGES = ("image-file", "images/separated", "images")


def is_source(path: Path) -> bool:
    """Return whether this is a .wandb file, or a folder with one in it or below."""
    return next(_list_files(path), None) is not None


def find_runs(path: Path) -> Iterator[SourceRun]:
    """Yield the runs of a .wandb file or a folder; raises SourceUnreadable where there are none."""
    found = False
    for file in _list_files(path):
        found = True
        yield _open(file)
    if not found:
        raise SourceUnreadable(f"{path} has no .wandb file in it; name the folder `wandb` or one of its runs.")


def _list_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield from [path] if path.suffix == ".wandb" else []
        return
    seen = set()
    # By the folder's name, which holds the start; `latest-run` is a link to one of them.
    for file in sorted(path.rglob("*.wandb")):
        if file.is_file() and file.resolve() not in seen:
            seen.add(file.resolve())
            yield file


@dataclass
class _Facts:
    """What stands in a file beside its history."""

    run: Any = None
    environments: list[Any] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    image_tags: list[str] = field(default_factory=list)
    exit_code: int | None = None
    last_at: float | None = None

    def read(self, file: Path) -> "_Facts":
        for message in read_messages(file, Losses()):
            if message.HasField("run"):
                self.run = message.run if self.run is None else self.run
                _update(self.config, message.run.config)
            elif message.HasField("config"):
                _update(self.config, message.config)
            elif message.HasField("environment"):
                self.environments.append(message.environment)
            elif message.HasField("exit"):
                self.exit_code = message.exit.exit_code
            elif message.HasField("history"):
                self._note_history(message.history)
        return self

    def _note_history(self, history: Any) -> None:
        for item in history.item:
            name = _name(item)
            if name == "_timestamp":
                self.last_at = to_number(_read_item(item)) or self.last_at
            elif "_type" in item.nested_key or "_type" in item.value_json:
                try:
                    value = _read_item(item)
                except ValueError:
                    continue
                # Media come as single fields, or whole from older writers.
                kind = value.get("_type") if isinstance(value, dict) else value
                if kind in _IMAGES:
                    self.image_tags.append(name.removesuffix("._type"))


def _open(file: Path) -> SourceRun:
    facts = _Facts().read(file)
    run = facts.run
    run_id = run.run_id if run is not None and run.run_id else file.stem.removeprefix("run-")
    project = run.project if run is not None else ""
    end, reason = _describe_end(facts.exit_code)
    return SourceRun(
        origin="wandb",
        # A run that was resumed has a folder for each process; together they are one.
        identity="\0".join((run.entity if run is not None else "", project, run_id)).encode(),
        name=(run.display_name if run is not None else "") or run_id,
        source=str(file.resolve()),
        read=lambda losses: _read(file, losses),
        config={name: value for name, value in facts.config.items() if name != "_wandb"},
        tags=[*run.tags, *([project] if project else [])] if run is not None else [],
        note=run.notes if run is not None else "",
        image_tags=list(dict.fromkeys(facts.image_tags)),
        started_at=_seconds(run.start_time) if run is not None and run.HasField("start_time") else None,
        ended_at=facts.last_at,
        end=end,
        reason=reason,
        writer=run.host if run is not None else "",
        provenance=_describe_machine(facts),
    )


def _describe_end(exit_code: int | None) -> tuple[End, str]:
    if exit_code is None:
        return "failed", "The .wandb file says nothing of an end: the process was killed, or it still writes."
    if exit_code == 0:
        return "succeeded", ""
    return "failed", f"The process ended with exit code {exit_code}."


def _describe_machine(facts: _Facts) -> dict[str, Any]:
    provenance: dict[str, Any] = {}
    for environment in facts.environments:
        given = {
            "python": environment.python[:50],
            "platform": environment.os[:200],
            "hostname": environment.host[:200],
            "command": " ".join([environment.program, *environment.args])[:500],
            "device": environment.gpu_type[:200],
        }
        provenance |= {name: value for name, value in given.items() if value.strip()}
    gits = [environment.git for environment in facts.environments]
    if facts.run is not None:
        gits.append(facts.run.git)
    for git in gits:
        if len(git.commit) == 40 and set(git.commit) <= set("0123456789abcdef"):
            provenance["commit"] = git.commit
        if git.remote_url:
            provenance["remote"] = git.remote_url[:300]
    return provenance


def _read(file: Path, losses: Losses) -> Iterator[Record]:
    media = Folder(file.parent / "files")
    step, at = 0, None
    summary: dict[str, Any] = {}
    logged: set[str] = set()
    for message in read_messages(file, losses):
        if message.HasField("history"):
            row = _read_row(message.history.item, losses)
            step = int(to_number(row.pop("_step", None)) or 0) if "_step" in row else message.history.step.num
            at = to_number(row.get("_timestamp"))
            logged.update(row)
            yield from _read_history(row, step, at, media, losses)
        elif message.HasField("summary"):
            _update(summary, message.summary)
        elif message.HasField("stats"):
            yield from _read_stats(message.stats, step)
        elif message.HasField("alert"):
            level = _LEVELS.get(message.alert.level, "info")
            yield Line(step, f"{message.alert.title}: {message.alert.text}", at, level)
        elif message.HasField("output_raw") and message.output_raw.line.strip():
            yield Line(step, message.output_raw.line.rstrip("\n"), _seconds(message.output_raw.timestamp))
    # What a script wrote into the summary alone: run.summary["best"] = 1.
    final = {
        name: number
        for name, value in summary.items()
        if name not in logged and not name.startswith(_HIDDEN) and (number := to_number(value)) is not None
    }
    if final:
        yield Points(step, final, at)


def _read_row(items: Iterable[Any], losses: Losses) -> dict[str, Any]:
    """Return a row of history; media, which come as single fields, are put together again."""
    row: dict[str, Any] = {}
    for item in items:
        names = list(item.nested_key) or [item.key]
        place = row
        for name in names[:-1]:
            inner = place.setdefault(name, {})
            place = inner if isinstance(inner, dict) else place
        try:
            place[names[-1]] = _read_item(item)
        except ValueError as error:
            losses.add("values that cannot be read", f"{'.'.join(names)}: {error}")
    return row


def _read_item(item: Any) -> Any:
    for name in ("value_json", "json"):
        if item.HasField(name):
            return json.loads(getattr(item, name))
    return next(
        (getattr(item, name) for name in ("number", "integer", "boolean", "text") if item.HasField(name)), None
    )


def _name(item: Any) -> str:
    return ".".join(item.nested_key) or str(item.key)


def _read_history(
    row: dict[str, Any], step: int, at: float | None, media: Folder, losses: Losses
) -> Iterator[Record]:
    values: dict[str, float] = {}
    others: list[Record] = []
    for name, value in row.items():
        if not name.startswith(_HIDDEN):
            _sort(name, value, step, at, media, losses, values, others)
    if values:
        yield Points(step, values, at)
    yield from others


def _sort(
    name: str,
    value: Any,
    step: int,
    at: float | None,
    media: Folder,
    losses: Losses,
    values: dict[str, float],
    others: list[Record],
) -> None:
    """Put a logged value where it belongs: a number into `values`, anything else into `others`."""
    number = to_number(value)
    if number is not None:
        values[name] = number
    elif isinstance(value, str):
        others.append(Line(step, f"{name}: {value}", at))
    elif isinstance(value, dict) and "_type" not in value:
        for inner, part in value.items():
            _sort(f"{name}.{inner}", part, step, at, media, losses, values, others)
    elif isinstance(value, dict):
        others += _read_media(name, value, step, at, media, losses)
    elif value is not None:
        losses.add("values that are neither numbers nor texts nor media", f"{name} at step {step}")


def _read_media(
    name: str, value: dict[str, Any], step: int, at: float | None, media: Folder, losses: Losses
) -> Iterator[Record]:
    kind = value["_type"]
    if kind == "histogram":
        histogram = read_histogram(value)
        if histogram is None:
            losses.add("histograms that cannot be read", f"{name} at step {step}")
        else:
            yield Distribution(name, step, histogram, at)
        return
    paths = value.get("filenames") if kind != "image-file" else None
    paths = paths if isinstance(paths, list) else [value.get("path")]
    if kind in _IMAGES:
        images = [content for path in paths if (content := media.read(path, f"{name} at step {step}", losses))]
        if images:
            yield Pictures(name, step, tuple(images), at)
        return
    for path in paths:
        if (file := media.find(path, f"{name} at step {step}", losses)) is not None:
            yield Attachment(str(path), step, file, at=at)


def _read_stats(stats: Any, step: int) -> Iterator[Points]:
    values = {}
    for item in stats.item:
        try:
            number = to_number(json.loads(item.value_json))
        except ValueError:
            continue
        if number is not None:
            values[f"system/{item.key}"] = number
    if values:
        yield Points(step, values, _seconds(stats.timestamp))


def _update(target: dict[str, Any], record: Any) -> None:
    for item in record.remove:
        target.pop(_name(item), None)
    for item in record.update:
        names = list(item.nested_key) or [item.key]
        place = target
        for name in names[:-1]:
            if not isinstance(place.get(name), dict):
                place[name] = {}
            place = place[name]
        try:
            value = json.loads(item.value_json)
        except ValueError:
            value = item.value_json
        place[names[-1]] = value


def _seconds(timestamp: Any) -> float:
    return float(timestamp.seconds + timestamp.nanos / 1e9)
