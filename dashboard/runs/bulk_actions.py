"""Actions on several runs at once, each run in a transaction of its own, and a report for the next page."""

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

Action = Literal["tag", "untag", "cancel", "first", "delete", "restore"]
_PAST: dict[Action, str] = {
    "tag": "tagged {tag}",
    "untag": "no longer tagged {tag}",
    "cancel": "asked to stop",
    "first": "moved to the front of the queue",
    "delete": "deleted",
    "restore": "restored",
}
_UNDO: dict[Action, Action] = {"tag": "untag", "untag": "tag", "delete": "restore"}


@dataclass(frozen=True)
class BulkResult:
    """An action, the runs on which it succeeded, and a sentence for each run on which it failed."""

    action: Action
    ids: tuple[str, ...]
    tag: str = ""
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResultView:
    """The result in a sentence, the failures, and the action that undoes it (empty: none does)."""

    text: str
    failures: Sequence[str]
    undo: str
    tag: str
    ids: Sequence[str]


def build_result(result: BulkResult | None) -> ResultView | None:
    """Return the result as the page shows it."""
    if result is None:
        return None
    count = len(result.ids)
    runs = "No run was" if not count else "1 run was" if count == 1 else f"{count} runs were"
    text = f"{runs} {_PAST[result.action].format(tag=result.tag)}."
    undo = _UNDO.get(result.action, "") if count else ""
    return ResultView(text, result.failures, undo, result.tag, result.ids)


RESULT_COOKIE = "ganvas_done"
RESULT_SECONDS = 60
MAX_FAILURES = 3
_RESULT = TypeAdapter(BulkResult)


def apply_to_each(services: Services, action: Action, job_ids: Sequence[str], tag: str) -> BulkResult:
    """Apply the action to each run; a failure on one run does not stop the others."""
    if action in ("tag", "untag") and not tag:
        problem = (
            "Nothing was changed: a tag is 1 to 50 letters, digits, spaces, '.', '_', ':', '/', '-', '=' or '+'."
        )
        return BulkResult(action, (), tag, (problem,))
    succeeded: list[str] = []
    failures: list[str] = []
    for job_id in job_ids:
        try:
            with services.database.write() as session:
                _ACTIONS[action](session, job_id, tag)
            succeeded.append(job_id)
        except ServiceError as error:
            failures.append(f"{job_id}: {error.text}")
    services.feed.notify()
    more = len(failures) - MAX_FAILURES
    shown = [*failures[:MAX_FAILURES], *([f"… and {more} more."] if more > 0 else [])]
    return BulkResult(action, tuple(succeeded), tag, tuple(shown))


def write_result(response: Response, result: BulkResult) -> None:
    """Leave the result for the next page."""
    value = base64.urlsafe_b64encode(_RESULT.dump_json(result)).decode()
    response.set_cookie(RESULT_COOKIE, value, max_age=RESULT_SECONDS, samesite="lax", httponly=True)


def read_result(request: Request) -> BulkResult | None:
    """Return the result that was left for this page, if there is one."""
    value = request.cookies.get(RESULT_COOKIE)
    if not value:
        return None
    try:
        return _RESULT.validate_json(base64.urlsafe_b64decode(value))
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
    "first": lambda session, job_id, _: edits.move_first(session, job_id),
    "delete": lambda session, job_id, _: edits.delete_job(session, job_id),
    "restore": lambda session, job_id, _: edits.restore_job(session, job_id),
}
