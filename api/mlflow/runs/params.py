"""Params and tags of a run, and what of them the job shows: its config, its tags and its note."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.jobs.queries import lock_job
from api.mlflow.protocol.errors import invalid, missing
from api.mlflow.protocol.names import MAX_PARAM_VALUE, MAX_TAG_VALUE, check_key, check_unique_keys, cut
from api.mlflow.protocol.requests import Fields
from api.mlflow.runs.rows import RunKey, require_run
from api.server.database.engine import insert_into
from api.server.database.mlflow_tables import MlflowParam, MlflowRun, MlflowTag
from api.server.database.models import Job
from ganlib.spec.fields import check_tag

RUN_NAME, NOTE = "mlflow.runName", "mlflow.note.content"
_OWN = "mlflow."
_MAX_JOB_TAGS, _MAX_JOB_TAG, _MAX_JOB_NAME, _MAX_NOTE = 32, 50, 100, 10_000
_INTEGER = re.compile(r"[-+]?\d{1,15}")
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_WORDS: Mapping[str, bool | None] = {"True": True, "true": True, "False": False, "false": False, "None": None}


def log_param(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/log-parameter`."""
    key, value = fields.need("key"), fields.text("value") or ""
    _check_param(key, "key")
    insert_params(session, require_run(session, fields.run_id(), active=True), [(key, value)])
    return {}


def set_tag(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/set-tag`."""
    key, value = fields.need("key"), fields.text("value") or ""
    check_key(key, "key", "key")
    put_tags(session, require_run(session, fields.run_id(), active=True), [(key, value)])
    return {}


def delete_tag(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/delete-tag`."""
    run, key = require_run(session, fields.run_id(), active=True), fields.need("key")
    own = delete(MlflowTag).where(MlflowTag.job_id == run.job_id, MlflowTag.key == key)
    value = session.scalars(own.returning(MlflowTag.value)).one_or_none()
    if value is None:
        raise missing(f"No tag with name: {key} in run with id {run.run_uuid}")
    _mirror_tags(lock_job(session, run.job_id), {}, {key: value})
    return {}


def read_params(fields: Fields) -> list[tuple[str, str]]:
    """Return the params of a batch; raises MlflowError."""
    pairs = fields.pairs("params")
    for place, (key, _) in enumerate(pairs):
        _check_param(key, f"params[{place}].key")
    check_unique_keys(key for key, _ in pairs)
    return pairs


def read_tags(fields: Fields) -> list[tuple[str, str]]:
    """Return the tags of a batch or of a new run; raises MlflowError."""
    pairs = fields.pairs("tags")
    for place, (key, _) in enumerate(pairs):
        check_key(key, f"tags[{place}].key", f"tags[{place}].key")
    return pairs


def insert_params(session: Session, run: RunKey, pairs: Sequence[tuple[str, str]]) -> None:
    """Store params; one that is there already may be sent again, but not with another value."""
    if not pairs:
        return
    given = {key: cut(value, MAX_PARAM_VALUE) for key, value in pairs}
    # Locked before they are read: a param is written once, whoever else writes.
    job = lock_job(session, run.job_id)
    query = select(MlflowParam.key, MlflowParam.value).where(MlflowParam.job_id == run.job_id)
    known = {row.key: row.value for row in session.execute(query.where(MlflowParam.key.in_(given)))}
    changed = [key for key in given if key in known and known[key] != given[key]]
    if changed:
        raise _refuse_change(run, changed, known, given, is_batch=len(pairs) > 1)
    new = {key: value for key, value in given.items() if key not in known}
    if new:
        rows = [{"job_id": run.job_id, "key": key, "value": value} for key, value in new.items()]
        session.execute(insert_into(session, MlflowParam), rows)
        config = {**job.spec.get("config", {}), **read_config(new)}
        job.spec = {**job.spec, "config": config}


def put_tags(session: Session, run: RunKey, pairs: Iterable[tuple[str, str]]) -> None:
    """Store tags; a later value replaces an earlier one. MlflowError for none."""
    given = {key: cut(value, MAX_TAG_VALUE) for key, value in pairs}
    if not given:
        return
    job = lock_job(session, run.job_id)
    query = select(MlflowTag.key, MlflowTag.value).where(MlflowTag.job_id == run.job_id)
    known = {row.key: row.value for row in session.execute(query.where(MlflowTag.key.in_(given)))}
    insert = insert_into(session, MlflowTag)
    put = insert.on_conflict_do_update(index_elements=["job_id", "key"], set_={"value": insert.excluded.value})
    session.execute(put, [{"job_id": run.job_id, "key": key, "value": value} for key, value in given.items()])
    if given.get(RUN_NAME):
        session.get_one(MlflowRun, run.job_id).name = given[RUN_NAME]
        job.name = name_job(given[RUN_NAME])
    _mirror_tags(job, given, known)


def name_job(name: str) -> str:
    """Return a job's name for a run's, which may be longer."""
    shown = "".join(sign if sign.isprintable() else " " for sign in name)
    return shown.strip()[:_MAX_JOB_NAME].strip() or "run"


def list_job_tags(experiment: str, tags: Mapping[str, str]) -> list[str]:
    """Return the tags of a new job: its experiment, and the run's own tags as `key=value`."""
    named = [experiment, *(_show_tag(key, value) for key, value in tags.items() if not key.startswith(_OWN))]
    return [tag for tag in dict.fromkeys(named) if _is_job_tag(tag)][:_MAX_JOB_TAGS]


def read_config(params: Mapping[str, str]) -> dict[str, Any]:
    """Return params as a config, in which numbers can be compared: MLflow sends every value as a text."""
    return {key: _read_value(value) for key, value in params.items()}


def show_note(tags: Mapping[str, str]) -> str:
    """Return the note of a job, which MLflow keeps as a tag."""
    return tags.get(NOTE, "")[:_MAX_NOTE]


def _mirror_tags(job: Job, given: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Change the job's tags and note as the run's were; what a person added on a page stays."""
    gone = {_show_tag(key, value) for key, value in known.items() if given.get(key) != value}
    new = [_show_tag(key, value) for key, value in given.items() if not key.startswith(_OWN)]
    tags = [tag for tag in dict.fromkeys([*job.tags, *new]) if tag not in gone]
    tags = [tag for tag in tags if tag in job.tags or _is_job_tag(tag)][:_MAX_JOB_TAGS]
    if tags != job.tags:
        job.tags = tags
    if NOTE in given or NOTE in known:
        job.note = show_note(given)


def _show_tag(key: str, value: str) -> str:
    return f"{key}={value}" if value else key


def _is_job_tag(tag: str) -> bool:
    try:
        return 0 < len(tag) <= _MAX_JOB_TAG and check_tag(tag) == tag
    except ValueError:
        return False


def _read_value(text: str) -> int | float | bool | str | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if abs(number) < float("inf") else text
    return text


def _check_param(key: str, path: str) -> None:
    check_key(key, path, "Param key")


def _refuse_change(
    run: RunKey, changed: Sequence[str], known: Mapping[str, str], given: Mapping[str, str], *, is_batch: bool
) -> Exception:
    if is_batch:
        pairs = [{"key": key, "old_value": known[key], "new_value": given[key]} for key in changed]
        return invalid(
            f"Changing param values is not allowed. Params were already logged='{pairs}' "
            f"for run ID='{run.run_uuid}'."
        )
    (key,) = changed
    return invalid(
        f"Changing param values is not allowed. Param with key='{key}' was already logged with "
        f"value='{known[key]}' for run ID='{run.run_uuid}'. Attempted logging new value '{given[key]}'."
    )
