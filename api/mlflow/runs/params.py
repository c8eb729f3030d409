"""Params and tags of a run, and what of them the job shows: its config, its tags and its note."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, delete, select, update
from sqlalchemy.orm import Session

from api.errors import JobNotFound
from api.mlflow.protocol.errors import invalid, missing
from api.mlflow.protocol.names import MAX_PARAM_VALUE, MAX_TAG_VALUE, check_key, check_unique_keys, cut
from api.mlflow.protocol.requests import Fields
from api.mlflow.runs.rows import RunKey, require_run
from api.server.database.engine import dialect_name, insert_for
from api.server.database.mlflow_tables import MlflowParam, MlflowRun, MlflowTag
from api.server.database.models import Job
from ganlib.spec.fields import check_tag

RUN_NAME, NOTE = "mlflow.runName", "mlflow.note.content"
_OWN = "mlflow."
_MAX_JOB_TAGS, _MAX_JOB_TAG, _MAX_JOB_NAME, _MAX_NOTE = 32, 50, 100, 10_000
_INTEGER = re.compile(r"[-+]?\d{1,15}")
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_WORDS: Mapping[str, bool | None] = {"True": True, "true": True, "False": False, "false": False, "None": None}
# Built once, and they read plain columns: see `api.attempts.leases`.
_LOCK_TAGS = select(Job.tags).where(Job.id == bindparam("job")).with_for_update()
_LOCK_SPEC = select(Job.spec).where(Job.id == bindparam("job")).with_for_update()
_OWN_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_FIND_TAGS = select(MlflowTag.key, MlflowTag.value).where(
    MlflowTag.job_id == bindparam("job"), MlflowTag.key.in_(_OWN_KEYS)
)
_FIND_PARAMS = select(MlflowParam.key, MlflowParam.value).where(
    MlflowParam.job_id == bindparam("job"), MlflowParam.key.in_(_OWN_KEYS)
)


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
    _mirror_tags(session, run.job_id, _lock(session, _LOCK_TAGS, run.job_id), {}, {key: value})
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
    spec = _lock(session, _LOCK_SPEC, run.job_id)
    known = _find(session, _FIND_PARAMS, run.job_id, given)
    changed = [key for key in given if key in known and known[key] != given[key]]
    if changed:
        raise _refuse_change(run, changed, known, given, is_batch=len(pairs) > 1)
    new = {key: value for key, value in given.items() if key not in known}
    if new:
        rows = [{"job_id": run.job_id, "key": key, "value": value} for key, value in new.items()]
        session.connection().execute(insert_for(dialect_name(session), MlflowParam), rows)
        config = {**spec.get("config", {}), **read_config(new)}
        session.execute(update(Job).where(Job.id == run.job_id).values(spec={**spec, "config": config}))


def put_tags(session: Session, run: RunKey, pairs: Iterable[tuple[str, str]]) -> None:
    """Store tags; a later value replaces an earlier one. MlflowError for none."""
    given = {key: cut(value, MAX_TAG_VALUE) for key, value in pairs}
    if not given:
        return
    session.flush()
    # What the job does not show, such as MLflow's mark of runs with pictures, needs no lock.
    if any(key == NOTE or not key.startswith(_OWN) for key in given):
        tags = _lock(session, _LOCK_TAGS, run.job_id)
        _mirror_tags(session, run.job_id, tags, given, _find(session, _FIND_TAGS, run.job_id, given))
    rows = [{"job_id": run.job_id, "key": key, "value": value} for key, value in sorted(given.items())]
    session.connection().execute(_put(dialect_name(session)), rows)
    if name := given.get(RUN_NAME):
        session.get_one(MlflowRun, run.job_id).name = name
        session.execute(update(Job).where(Job.id == run.job_id).values(name=name_job(name)))


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


def _lock(session: Session, query: Select[Any], job_id: str) -> Any:
    """Return a column of the job's row, which is locked to the end of the transaction; raises JobNotFound."""
    row = session.connection().execute(query, {"job": job_id}).one_or_none()
    if row is None:
        raise JobNotFound(job_id=job_id)
    return row[0]


def _find(session: Session, query: Select[str, str], job_id: str, keys: Iterable[str]) -> dict[str, str]:
    rows = session.connection().execute(query, {"job": job_id, "keys": list(keys)})
    return {row.key: row.value for row in rows}


@cache
def _put(dialect: str) -> Any:
    insert = insert_for(dialect, MlflowTag)
    return insert.on_conflict_do_update(index_elements=["job_id", "key"], set_={"value": insert.excluded.value})


def _mirror_tags(
    session: Session, job_id: str, shown: Sequence[str], given: Mapping[str, str], known: Mapping[str, str]
) -> None:
    """Change the job's tags and note as the run's were; what a person added on a page stays. shown: its tags."""
    gone = {_show_tag(key, value) for key, value in known.items() if given.get(key) != value}
    new = [_show_tag(key, value) for key, value in given.items() if not key.startswith(_OWN)]
    tags = [tag for tag in dict.fromkeys([*shown, *new]) if tag not in gone]
    tags = [tag for tag in tags if tag in shown or _is_job_tag(tag)][:_MAX_JOB_TAGS]
    changed: dict[str, Any] = {} if tags == shown else {"tags": tags}
    if NOTE in given or NOTE in known:
        changed["note"] = show_note(given)
    if changed:
        session.execute(update(Job).where(Job.id == job_id).values(changed))


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
