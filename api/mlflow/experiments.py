"""Experiments: named groups of runs. Deleting one deletes its runs, and restoring it restores them."""

import time
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from api.mlflow.protocol.errors import MlflowError, invalid, missing
from api.mlflow.protocol.filters import Vocabulary, parse_filter, parse_orders
from api.mlflow.protocol.names import (
    MAX_EXPERIMENT_TAG_VALUE,
    MAX_KEY,
    check_experiment_name,
    check_key,
    check_length,
)
from api.mlflow.protocol.records import Record, matches, sort_records
from api.mlflow.protocol.requests import Fields, read_count, read_offset, write_offset
from api.server.database.clock import database_now
from api.server.database.engine import insert_into
from api.server.database.mlflow_tables import MlflowExperiment, MlflowRun
from api.server.database.models import Job

DEFAULT_ID = 0
VIEWS = {"ACTIVE_ONLY": (False,), "DELETED_ONLY": (True,), "ALL": (False, True)}
VIEW_NUMBERS = {1: "ACTIVE_ONLY", 2: "DELETED_ONLY", 3: "ALL"}
_MAX_RESULTS = 50_000
_WORDS = Vocabulary(
    entities=frozenset({"attribute", "tag"}),
    attributes={"name": False, "experiment_id": False, "creation_time": True, "last_update_time": True},
    listed=frozenset({"experiment_id"}),
    nulls=frozenset({"tag"}),
)


def now_ms() -> int:
    """Return the time as MLflow counts it: milliseconds since 1970."""
    return int(time.time() * 1000)


def insert_default(session: Session) -> None:
    """Make sure that MLflow's experiment `Default` is there."""
    now = now_ms()
    row = {
        "id": DEFAULT_ID,
        "name": "Default",
        "is_deleted": False,
        "created_ms": now,
        "updated_ms": now,
        "tags": {},
    }
    session.execute(insert_into(session, MlflowExperiment).values(row).on_conflict_do_nothing())


def create_experiment(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/create`."""
    name = fields.need("name")
    check_experiment_name(name)
    _check_location(fields.text("artifact_location"))
    tags = dict(fields.pairs("tags"))
    for key, value in tags.items():
        _check_tag(key, value)
    now = now_ms()
    row = {"name": name, "is_deleted": False, "created_ms": now, "updated_ms": now, "tags": tags}
    insert = insert_into(session, MlflowExperiment).values(row).on_conflict_do_nothing(index_elements=["name"])
    found = session.scalars(insert.returning(MlflowExperiment.id)).one_or_none()
    if found is None:
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Experiment(name={name}) already exists.")
    return {"experiment_id": str(found)}


def get_experiment(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/get`."""
    return {"experiment": show_experiment(find_experiment(session, fields.need("experiment_id")))}


def get_experiment_by_name(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/get-by-name`."""
    name = fields.need("experiment_name")
    row = session.scalars(select(MlflowExperiment).where(MlflowExperiment.name == name)).one_or_none()
    if row is None:
        raise missing(f"Could not find experiment with name '{name}'")
    return {"experiment": show_experiment(row)}


def search_experiments(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/search`."""
    clauses = parse_filter(fields.text("filter"), _WORDS)
    orders = parse_orders(fields.texts("order_by") or ["creation_time DESC", "experiment_id ASC"], _WORDS)
    stages = fields.choice("view_type", VIEWS, VIEW_NUMBERS) or VIEWS["ACTIVE_ONLY"]
    count, offset = read_count(fields, 1000, _MAX_RESULTS), read_offset(fields.text("page_token"))
    rows = session.scalars(select(MlflowExperiment).where(MlflowExperiment.is_deleted.in_(stages)))
    found = [row for row in rows.all() if matches(_record(row), clauses)]
    found.sort(key=lambda row: -row.id)
    found = sort_records(found, _sorted_record, orders)
    return show_page(
        "experiments", [show_experiment(row) for row in found[offset : offset + count]], found, offset
    )


def update_experiment(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/update`: give it another name."""
    row = find_experiment(session, fields.need("experiment_id"), locked=True)
    name = fields.need("new_name")
    check_experiment_name(name)
    if row.is_deleted:
        raise MlflowError("INVALID_STATE", "Cannot rename a non-active experiment.")
    other = session.scalars(select(MlflowExperiment.id).where(MlflowExperiment.name == name)).one_or_none()
    if other not in (None, row.id):
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Experiment(name={name}) already exists.")
    row.name, row.updated_ms = name, now_ms()
    return {}


def delete_experiment(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/delete`."""
    row = find_experiment(session, fields.need("experiment_id"), locked=True)
    if row.is_deleted:
        raise missing(f"No Experiment with id={row.id} exists")
    row.is_deleted, row.updated_ms = True, now_ms()
    own = Job.id.in_(select(MlflowRun.job_id).where(MlflowRun.experiment_id == row.id))
    session.execute(update(Job).where(own, Job.deleted_at.is_(None)).values(deleted_at=database_now()))
    return {}


def restore_experiment(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/restore`."""
    row = find_experiment(session, fields.need("experiment_id"), locked=True)
    if not row.is_deleted:
        raise missing(f"No Experiment with id={row.id} exists")
    row.is_deleted, row.updated_ms = False, now_ms()
    own = Job.id.in_(select(MlflowRun.job_id).where(MlflowRun.experiment_id == row.id))
    session.execute(update(Job).where(own).values(deleted_at=None))
    return {}


def set_experiment_tag(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/set-experiment-tag`."""
    key, value = fields.need("key"), fields.text("value") or ""
    _check_tag(key, value)
    row = require_active(find_experiment(session, fields.need("experiment_id"), locked=True))
    row.tags = row.tags | {key: value}
    return {}


def delete_experiment_tag(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/delete-experiment-tag`."""
    key = fields.need("key")
    row = require_active(find_experiment(session, fields.need("experiment_id"), locked=True))
    if key not in row.tags:
        raise missing(f"No tag with name: {key} in experiment with id {row.id}")
    row.tags = {name: value for name, value in row.tags.items() if name != key}
    return {}


def find_experiment(session: Session, text: str, *, locked: bool = False) -> MlflowExperiment:
    """Return an experiment, also a deleted one; locked: for a change. Raises MlflowError."""
    row = session.get(MlflowExperiment, read_experiment_id(text), with_for_update=locked or None)
    if row is None:
        raise missing(f"No Experiment with id={text} exists")
    return row


def require_active(row: MlflowExperiment) -> MlflowExperiment:
    """Return the experiment; raises MlflowError for a deleted one."""
    if row.is_deleted:
        raise invalid(f"The experiment {row.id} must be in the 'active' state. Current state is deleted.")
    return row


def read_experiment_id(text: str) -> int:
    """Return the number of an experiment's id."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise invalid(f"Invalid experiment ID '{text[:100]}'. Experiment ID must be a valid integer.")
    return int(text)


def show_experiment(row: MlflowExperiment) -> dict[str, Any]:
    """Return MLflow's form of an experiment."""
    shown: dict[str, Any] = {
        "experiment_id": str(row.id),
        "name": row.name,
        "artifact_location": f"mlflow-artifacts:/{row.id}",
        "lifecycle_stage": show_stage(row.is_deleted),
        "last_update_time": row.updated_ms,
        "creation_time": row.created_ms,
        "workspace": "default",
    }
    return shown | show_tags(row.tags)


def show_stage(is_deleted: bool) -> str:
    """Return MLflow's word for whether something is deleted."""
    return "deleted" if is_deleted else "active"


def show_tags(tags: dict[str, str], name: str = "tags") -> dict[str, Any]:
    """Return tags as a list, and nothing where there are none, as protocol buffers write it."""
    return {name: [{"key": key, "value": value} for key, value in tags.items()]} if tags else {}


def show_page(name: str, shown: list[Any], found: list[Any], offset: int) -> dict[str, Any]:
    """Return a page of a list, with a token where there are more."""
    end = offset + len(shown)
    page = {name: shown} if shown else {}
    return page | ({"next_page_token": write_offset(end)} if end < len(found) else {})


def _record(row: MlflowExperiment) -> Record:
    attributes = {
        "name": row.name,
        "experiment_id": str(row.id),
        "creation_time": row.created_ms,
        "last_update_time": row.updated_ms,
    }
    return Record(attributes, row.tags)


def _sorted_record(row: MlflowExperiment) -> Record:
    # Ids are sorted as the numbers that they are.
    record = _record(row)
    return Record({**record.attributes, "experiment_id": row.id}, record.tags)


def _check_tag(key: str, value: str) -> None:
    check_key(key, "key", "key")
    check_length("key", MAX_KEY, key)
    check_length("value", MAX_EXPERIMENT_TAG_VALUE, value)


def _check_location(location: str | None) -> None:
    if location:
        raise invalid(
            f"Invalid value for parameter 'artifact_location': '{location[:200]}'. Ganvas keeps the artifacts "
            "of all runs itself; leave artifact_location out."
        )
