"""What is done with several runs at once: each on its own, and a notice that outlives the way back to the list."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import Request, Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from api.errors import ServiceError
from api.jobs import edits
from api.jobs import queries as job_queries
from api.jobs.schemas import JobEdit
from api.server.services import Services

Action = Literal["tag", "untag", "cancel", "delete", "restore"]
_PAST: dict[Action, str] = {
    "tag": "tagged {tag}",
    "untag": "no longer tagged {tag}",
    "cancel": "asked to stop",
    "delete": "deleted",
    "restore": "restored",
}
_BACK: dict[Action, Action] = {"tag": "untag", "untag": "tag", "delete": "restore"}


@dataclass(frozen=True)
class Done:
    """An action, on which runs it succeeded, and why it did not on others: a sentence for each run's name."""

    action: Action
    ids: tuple[str, ...]
    tag: str = ""
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class DoneView:
    """The sentence, what went wrong, and the action that takes it back (empty: none does)."""

    text: str
    failures: Sequence[str]
    back: str
    tag: str
    ids: Sequence[str]


def show_done(done: Done | None) -> DoneView | None:
    """Return how an action went."""
    if done is None:
        return None
    count = len(done.ids)
    runs = "No run was" if not count else "1 run was" if count == 1 else f"{count} runs were"
    # "is tagged", but "was deleted": a tag is still there.
    text = f"{runs} {_PAST[done.action].format(tag=done.tag)}."
    back = _BACK.get(done.action, "") if count else ""
    return DoneView(text, done.failures, back, done.tag, done.ids)


DONE_COOKIE = "ganvas_done"
DONE_SECONDS = 60
MAX_FAILURES = 3
_DONE = TypeAdapter(Done)


def do_to_each(services: Services, action: Action, job_ids: Sequence[str], tag: str) -> Done:
    """Do this with each run in a transaction of its own; the one that fails is named, the others are done."""
    if action in ("tag", "untag") and not tag:
        problem = "Nothing was changed: a tag is 1 to 50 letters, digits, '.', '_', ':', '/' or '-'."
        return Done(action, (), tag, (problem,))
    done: list[str] = []
    failures: list[str] = []
    for job_id in job_ids:
        try:
            with services.database.write() as session:
                _ACTIONS[action](session, job_id, tag)
            done.append(job_id)
        except ServiceError as error:
            failures.append(f"{job_id}: {error.text}")
    services.feed.nudge()
    more = len(failures) - MAX_FAILURES
    shown = [*failures[:MAX_FAILURES], *([f"… and {more} more."] if more > 0 else [])]
    return Done(action, tuple(done), tag, tuple(shown))


def write_done(response: Response, done: Done) -> None:
    """Leave a notice for the next page."""
    value = base64.urlsafe_b64encode(_DONE.dump_json(done)).decode()
    response.set_cookie(DONE_COOKIE, value, max_age=DONE_SECONDS, samesite="lax", httponly=True)


def read_done(request: Request) -> Done | None:
    """Return the notice that was left for this page, if there is one."""
    value = request.cookies.get(DONE_COOKIE)
    if not value:
        return None
    try:
        return _DONE.validate_json(base64.urlsafe_b64decode(value))
    except (binascii.Error, ValidationError, ValueError):
        return None


def _tag(session: Session, job_id: str, tag: str) -> object:
    return edits.edit_job(session, job_id, JobEdit(add_tags=[tag]))


def _untag(session: Session, job_id: str, tag: str) -> object:
    return edits.edit_job(session, job_id, JobEdit(remove_tags=[tag]))


_ACTIONS: dict[Action, Callable[[Session, str, str], object]] = {
    "tag": _tag,
    "untag": _untag,
    "cancel": lambda session, job_id, _: job_queries.cancel_job(session, job_id),
    "delete": lambda session, job_id, _: edits.delete_job(session, job_id),
    "restore": lambda session, job_id, _: edits.restore_job(session, job_id),
}
