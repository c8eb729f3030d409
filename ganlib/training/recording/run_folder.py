"""A run in a folder of its own, without any service: spec.yaml, events.jsonl and the trainer's files.

Calling `run_in_folder` again resumes from the newest checkpoint; events.jsonl then reads as if the run had
never been interrupted, apart from a second `training_started` where it was resumed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from ganlib.errors import RunFolderTaken, SpecInvalid
from ganlib.events import CheckpointSaved, Event, TrainingEnded, event_adapter
from ganlib.runtime.failures import said_plainly
from ganlib.runtime.files import hash_file, store_file
from ganlib.runtime.process_group import ProcessGroup, join_process_group
from ganlib.spec.documents.render import render_yaml
from ganlib.spec.job import JobSpec, deciding_fields
from ganlib.spec.parse import load_spec
from ganlib.spec.paths import describe_differences
from ganlib.trainer import StopReason, train

SPEC_FILE = "spec.yaml"
EVENTS_FILE = "events.jsonl"
_LOCK_FILE = ".lock"
# Broadcast to other processes in the place of a checkpoint's path.
_COMPLETED = "completed"


def run_in_folder(
    spec: JobSpec, out_dir: Path, on_event: Callable[[Event], None], should_stop: Callable[[], bool]
) -> StopReason:
    """Train in out_dir, from its newest checkpoint if it holds this run already.

    on_event and should_stop are those of `train`. A run that was already completed is left as it is, without an
    event. Started by torchrun, every process calls this; the first of them looks after the folder. Raises
    RunFolderTaken for a folder that holds another run or other files, and what `train` raises.
    """
    with said_plainly(), join_process_group(spec.device) as processes:
        if processes.is_lead:
            return _lead_in_folder(spec, out_dir, on_event, should_stop, processes)
        newest = processes.broadcast()
        if newest == _COMPLETED:
            return StopReason.COMPLETED
        return train(spec, out_dir, on_event, should_stop, out_dir / newest if newest else None)


def _lead_in_folder(
    spec: JobSpec,
    out_dir: Path,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    processes: ProcessGroup,
) -> StopReason:
    out_dir.mkdir(parents=True, exist_ok=True)
    with _locked(out_dir):
        _claim_folder(spec, out_dir)
        events = _read_events(out_dir)
        completed = bool(events) and events[-1] == TrainingEnded(iteration=spec.iterations, reason="completed")
        kept = events if completed else _up_to_newest_checkpoint(events, out_dir)
        _write_events(kept, out_dir)
        if completed:
            processes.broadcast(_COMPLETED)
            return StopReason.COMPLETED
        newest = kept[-1].file.path if kept and isinstance(kept[-1], CheckpointSaved) else ""
        processes.broadcast(newest)
        with (out_dir / EVENTS_FILE).open("a", encoding="utf-8", buffering=1) as lines:

            def record(event: Event) -> None:
                lines.write(event.model_dump_json() + "\n")
                on_event(event)

            return train(spec, out_dir, record, should_stop, out_dir / newest if newest else None)


@contextmanager
def _locked(out_dir: Path) -> Iterator[None]:
    """Keep other processes out of the folder; the system drops the lock when this process dies."""
    try:
        lock = FileLock(out_dir / _LOCK_FILE).acquire(blocking=False)
    except Timeout:
        raise RunFolderTaken(f"Another process is training in {out_dir}; choose another folder.") from None
    with lock:
        yield


def _claim_folder(spec: JobSpec, out_dir: Path) -> None:
    """Write spec.yaml, unless the folder holds another run or something else."""
    path = out_dir / SPEC_FILE
    if path.exists():
        differences = describe_differences(_stored_fields(path), deciding_fields(spec))
        if differences:
            raise RunFolderTaken(
                f"{out_dir} holds a run of another spec ({SPEC_FILE} there), which differs in {differences}: "
                "choose another folder, or give that spec to resume it."
            )
    elif any(entry.name != _LOCK_FILE for entry in out_dir.iterdir()):
        raise RunFolderTaken(f"{out_dir} holds files but no run; choose an empty or a new folder.")
    text = render_yaml(spec.model_dump(mode="json"))
    store_file(out_dir, SPEC_FILE, lambda temporary: _write_text(temporary, text))


def _stored_fields(path: Path) -> dict[str, Any]:
    try:
        return deciding_fields(load_spec(path))
    except SpecInvalid as error:
        raise RunFolderTaken(f"{path} cannot be read, so this run cannot be resumed there: {error}") from None


def _read_events(out_dir: Path) -> list[Event]:
    """Return the events of events.jsonl up to the first line that is not whole: a crash may have torn the last."""
    path = out_dir / EVENTS_FILE
    events: list[Event] = []
    if not path.exists():
        return events
    for line in path.read_bytes().splitlines():
        try:
            events.append(event_adapter.validate_json(line))
        except ValidationError:
            break
    return events


def _up_to_newest_checkpoint(events: list[Event], out_dir: Path) -> list[Event]:
    """Return the events up to the newest checkpoint whose file is whole; none if there is no such checkpoint."""
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if isinstance(event, CheckpointSaved) and _is_whole(event, out_dir):
            return events[: index + 1]
    return []


def _is_whole(event: CheckpointSaved, out_dir: Path) -> bool:
    path = out_dir / event.file.path
    return path.is_file() and path.stat().st_size == event.file.size and hash_file(path) == event.file.sha256


def _write_events(events: list[Event], out_dir: Path) -> None:
    text = "".join(event.model_dump_json() + "\n" for event in events)
    store_file(out_dir, EVENTS_FILE, lambda temporary: _write_text(temporary, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
