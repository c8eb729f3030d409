"""Where the delivery of a folder goes on: in which attempt, and whether the service has the same events so far."""

from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from api.client.transport import Transport, quote_id
from api.errors import JobAmbiguous, JobNotFound, ServiceError
from ganvas.tracking.attempts import AttemptPart, split_attempts
from ganvas.tracking.folder import FolderUnreadable, RunFolder


class DeliveryRefused(Exception):
    """The service will not take this run, and another try changes nothing."""


class CopyDiffers(DeliveryRefused):
    """The service has other events of this run under the same numbers."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            "The service has other events of this run under the same numbers: two copies of its folder were "
            "written. "
            f"This one stays as it is; `ganvas sync --as-new {path}` sends it as a run of its own."
        )


class CopyBehind(DeliveryRefused):
    """The service has all that the folder has of this run, and more."""


class RunElsewhere(DeliveryRefused):
    """The run has gone on elsewhere, and the folder holds something from before that the service has not."""

    def __init__(self, path: Path, newest: int, missing: int) -> None:
        super().__init__(
            f"This run has gone on elsewhere, in attempt {newest}, before the last {missing:,} events of this "
            f"folder were sent. It stays as it is; `ganvas sync --as-new {path}` sends it as a run of its own."
        )


def find_stored_run(named: str, transport: Transport) -> dict[str, Any] | None:
    """Return the run that a service knows by this id, beginning of one, name or key, as `GET /jobs/{id}` does.

    Raises FolderUnreadable for several of them, or one that cannot go on here; ServiceError for no answer.
    """
    try:
        found: dict[str, Any] = transport.request("GET", f"/jobs/{quote_id(named)}").json()
    except JobNotFound:
        return None
    except JobAmbiguous as error:
        ids = ", ".join(str(job["id"]) for job in error.details.get("jobs", ()))
        raise FolderUnreadable(
            f"{transport.url} has several runs {named!r}; resume one by its id: {ids}."
        ) from None
    if found["origin"] != "own" or not found.get("key"):
        raise FolderUnreadable(
            f"{named!r} is a run of {transport.url} that ganvas.init did not begin; only its own can go on."
        )
    if found["deleted_at"] is not None:
        raise FolderUnreadable(f"The run {named!r} was deleted; `ganvas undelete {found['id']}` brings it back.")
    return found


def find_part(folder: RunFolder, transport: Transport) -> AttemptPart:
    """Return the first attempt of which a service lacks something, else the newest; nothing changes by that.

    Raises CopyDiffers, CopyBehind or RunElsewhere for a folder that the run at the service does not go on from.
    """
    parts, count = split_attempts(folder.read_header()), folder.count_events()
    position = _ask_position(transport, parts[-1], count)
    if position is None:
        return parts[0]
    part = next((each for each in parts if each.number >= position["newest"]), parts[-1])
    if part is not parts[-1]:
        position = _ask_position(transport, part, count) or position
    _compare(folder, part, position, count)
    return part


def find_whole_run(folder: RunFolder, transport: Transport) -> dict[str, Any] | None:
    """Return the run if a service has all events of this folder, else None.

    Raises as `find_part` does, for the same folders.
    """
    part = find_part(folder, transport)
    count = folder.count_events()
    position = _ask_position(transport, part, count)
    if position is None or part.end_seq is not None or int(position["next_seq"]) < _count_held(part, count):
        return None
    return find_stored_run(str(part.opening["key"]), transport)


def _ask_position(transport: Transport, part: AttemptPart, count: int) -> dict[str, Any] | None:
    """Return how far the service has an attempt; None where it, or an older service, knows nothing of it."""
    path = f"/jobs/{quote_id(str(part.opening['key']))}/attempts/{part.number}/position"
    try:
        answer: dict[str, Any] = transport.request("GET", f"{path}?before={_count_held(part, count)}").json()
    except ServiceError as error:
        if error.status != JobNotFound.status:
            raise
        return None
    return answer


def _compare(folder: RunFolder, part: AttemptPart, position: dict[str, Any], count: int) -> None:
    """Compare the last event that both have, by when it happened: two copies never agree in microseconds."""
    held, stored = _count_held(part, count), int(position["next_seq"])
    if position.get("at") is not None and min(stored, held):
        line = next(islice(folder.read_events(part.first_seq + min(stored, held) - 1), 1))
        if datetime.fromisoformat(line["at"]) != datetime.fromisoformat(position["at"]):
            raise CopyDiffers(folder.path)
    newest = int(position["newest"])
    if newest > part.number:
        if stored < held:
            raise RunElsewhere(folder.path, newest, held - stored)
        raise CopyBehind(f"nothing new: the run has gone on elsewhere, in attempt {newest}")
    if part.end_seq is None and stored > held:
        raise CopyBehind(
            f"nothing new: the service has {stored:,} events of this run, and this folder is an older copy with "
            f"the first {held:,}"
        )


def _count_held(part: AttemptPart, count: int) -> int:
    return max(0, (count if part.end_seq is None else part.end_seq) - part.first_seq)
