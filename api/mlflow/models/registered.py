"""Registered models and their versions: names, stages, aliases and tags."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.mlflow.experiments import now_ms, show_page, show_tags
from api.mlflow.protocol.errors import MlflowError, invalid, missing
from api.mlflow.protocol.filters import Clause, Vocabulary, parse_filter, parse_orders
from api.mlflow.protocol.names import (
    MAX_KEY,
    MAX_REGISTRY_TAG_VALUE,
    check_alias,
    check_key,
    check_length,
    check_model_name,
    read_version,
)
from api.mlflow.protocol.records import Record, matches, sort_records
from api.mlflow.protocol.requests import Fields, read_count, read_offset
from api.server.database.engine import insert_into
from api.server.database.mlflow_tables import MlflowModelVersion, MlflowRegisteredModel

PROMPT = "mlflow.prompt.is_prompt"
_STAGES = ("None", "Staging", "Production", "Archived")
_MAX_MODELS = 1000
_WORDS = Vocabulary(
    entities=frozenset({"attribute", "tag"}),
    attributes={"name": False},
    listed=frozenset({"name"}),
    ordered=frozenset({"name", "timestamp", "last_updated_timestamp", "creation_timestamp"}),
)


def create_registered(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `registered-models/create`."""
    name, now, tags = fields.need("name"), now_ms(), read_registry_tags(fields)
    check_model_name(name)
    row = {
        "name": name,
        "description": fields.text("description"),
        "created_ms": now,
        "updated_ms": now,
        "tags": tags,
        "aliases": {},
    }
    insert = (
        insert_into(session, MlflowRegisteredModel).values(row).on_conflict_do_nothing(index_elements=["name"])
    )
    made = session.scalars(insert.returning(MlflowRegisteredModel)).one_or_none()
    if made is None:
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.")
    return {"registered_model": _show(session, made)}


def get_registered(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `registered-models/get`."""
    return {"registered_model": _show(session, find_registered(session, fields.need("name")))}


def search_registered(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `registered-models/search`; prompts are left out unless the filter asks for them."""
    clauses, orders = parse_filter(fields.text("filter"), _WORDS), parse_orders(fields.texts("order_by"), _WORDS)
    count, offset = read_count(fields, 100, _MAX_MODELS), read_offset(fields.text("page_token"))
    rows = session.scalars(select(MlflowRegisteredModel)).all()
    found = [row for row in rows if matches_registry(_record(row), clauses)]
    found.sort(key=lambda row: row.name)
    found = sort_records(found, _record, orders)
    shown = [_show(session, row) for row in found[offset : offset + count]]
    return show_page("registered_models", shown, found, offset)


def rename_registered(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `registered-models/rename`."""
    row, name, now = find_registered(session, fields.need("name"), locked=True), fields.need("new_name"), now_ms()
    check_model_name(name, "new_name")
    query = select(MlflowRegisteredModel.id).where(MlflowRegisteredModel.name == name)
    if session.scalars(query).one_or_none() not in (None, row.id):
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.")
    row.name, row.updated_ms = name, now
    for version in _list_versions(session, row):
        version.updated_ms = now
    session.flush()
    return {"registered_model": _show(session, row)}


def update_registered(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `registered-models/update`: its description."""
    row = find_registered(session, fields.need("name"), locked=True)
    row.description, row.updated_ms = fields.text("description"), now_ms()
    return {"registered_model": _show(session, row)}


def delete_registered(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `registered-models/delete`: its versions go with it, the models' files stay."""
    row = find_registered(session, fields.need("name"), locked=True)
    session.execute(delete(MlflowRegisteredModel).where(MlflowRegisteredModel.id == row.id))
    return {}


def set_registered_tag(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `registered-models/set-tag`."""
    key, value = read_registry_tag(fields)
    row = find_registered(session, fields.need("name"), locked=True)
    row.tags = row.tags | {key: value}
    return {}


def delete_registered_tag(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `registered-models/delete-tag`; one that is not there is no error."""
    row, gone = find_registered(session, fields.need("name"), locked=True), fields.need("key")
    row.tags = {key: value for key, value in row.tags.items() if key != gone}
    return {}


def set_alias(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer the POST of `registered-models/alias`."""
    alias, number = fields.need("alias"), read_version(fields.need("version"))
    check_alias(alias, is_new=True)
    row = find_registered(session, fields.need("name"), locked=True)
    find_version(session, row, number)
    row.aliases = row.aliases | {alias: number}
    return {}


def delete_alias(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer the DELETE of `registered-models/alias`."""
    gone = fields.need("alias")
    check_alias(gone)
    row = find_registered(session, fields.need("name"), locked=True)
    row.aliases = {alias: number for alias, number in row.aliases.items() if alias != gone}
    return {}


def get_by_alias(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer the GET of `registered-models/alias`; `latest` is the newest version."""
    alias = fields.need("alias")
    check_alias(alias)
    row = find_registered(session, fields.need("name"))
    if alias.lower() == "latest":
        versions = _list_versions(session, row)
        if not versions:
            raise missing(f"Latest version not found for model {row.name}.")
        return {"model_version": show_version(row, versions[-1])}
    if alias not in row.aliases:
        raise invalid(f"Registered model alias {alias} not found.")
    return {"model_version": show_version(row, find_version(session, row, row.aliases[alias]))}


def get_latest(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `registered-models/get-latest-versions`: the newest version of each stage."""
    row = find_registered(session, fields.need("name"))
    stages = {read_stage(stage) for stage in fields.texts("stages")} or set(_STAGES)
    found = [version for version in _list_latest(session, row) if version.stage in stages]
    return {"model_versions": [show_version(row, version) for version in found]} if found else {}


def find_registered(session: Session, name: str, *, locked: bool = False) -> MlflowRegisteredModel:
    """Return a registered model; raises MlflowError. locked: for a change."""
    check_model_name(name)
    query = select(MlflowRegisteredModel).where(MlflowRegisteredModel.name == name)
    row = session.scalars(query.with_for_update() if locked else query).one_or_none()
    if row is None:
        raise missing(f"Registered Model with name={name} not found")
    return row


def find_version(session: Session, registered: MlflowRegisteredModel, number: int) -> MlflowModelVersion:
    """Return a version; raises MlflowError."""
    row = session.get(MlflowModelVersion, (registered.id, number))
    if row is None or row.is_deleted:
        raise missing(f"Model Version (name={registered.name}, version={number}) not found")
    return row


def show_version(
    registered: MlflowRegisteredModel, row: MlflowModelVersion, *, with_aliases: bool = True
) -> dict[str, Any]:
    """Return MLflow's form of a version."""
    aliases = [alias for alias, number in registered.aliases.items() if number == row.version and with_aliases]
    shown: dict[str, Any] = {
        "name": registered.name,
        "version": str(row.version),
        "creation_timestamp": row.created_ms,
        "last_updated_timestamp": row.updated_ms,
        "current_stage": row.stage,
        **({"description": row.description} if row.description is not None else {}),
        "source": row.source,
        **({"run_id": row.run_id} if row.run_id is not None else {}),
        "status": "READY",
        **show_tags(row.tags),
        **({"run_link": row.run_link} if row.run_link is not None else {}),
        **({"aliases": aliases} if aliases else {}),
    }
    return shown


def read_stage(text: str) -> str:
    """Return a stage as MLflow writes it."""
    stages = {stage.lower(): stage for stage in _STAGES}
    if text.lower() not in stages:
        raise invalid(f"Invalid Model Version stage: {text}. Value must be one of {', '.join(_STAGES)}.")
    return stages[text.lower()]


def read_registry_tag(fields: Fields) -> tuple[str, str]:
    """Return the key and value of a tag."""
    key, value = fields.need("key"), fields.text("value") or ""
    check_key(key, "key", "key")
    check_length("key", MAX_KEY, key)
    check_length("value", MAX_REGISTRY_TAG_VALUE, value)
    return key, value


def read_registry_tags(fields: Fields) -> dict[str, str]:
    """Return the tags of a new model or version."""
    return dict(read_registry_tag(item) for item in fields.items("tags"))


def matches_registry(record: Record, clauses: list[Clause]) -> bool:
    """Return whether a model or version is listed: prompts only where the filter asks for them."""
    asks = any(
        (clause.entity, clause.key) == ("tag", PROMPT)
        and (clause.comparator, str(clause.value).lower()) in (("=", "true"), ("!=", "false"))
        for clause in clauses
    )
    is_prompt = record.tags.get(PROMPT, "false").lower() == "true"
    others = [clause for clause in clauses if (clause.entity, clause.key) != ("tag", PROMPT)]
    return is_prompt == asks and matches(record, others)


def _show(session: Session, row: MlflowRegisteredModel) -> dict[str, Any]:
    latest = [show_version(row, version, with_aliases=False) for version in _list_latest(session, row)]
    aliases = [{"alias": alias, "version": str(number)} for alias, number in row.aliases.items()]
    return {
        "name": row.name,
        "creation_timestamp": row.created_ms,
        "last_updated_timestamp": row.updated_ms,
        **({"description": row.description} if row.description else {}),
        **({"latest_versions": latest} if latest else {}),
        **show_tags(row.tags),
        **({"aliases": aliases} if aliases else {}),
    }


def _list_versions(session: Session, row: MlflowRegisteredModel) -> list[MlflowModelVersion]:
    own = (MlflowModelVersion.registered_id == row.id, MlflowModelVersion.is_deleted.is_(False))
    return list(session.scalars(select(MlflowModelVersion).where(*own).order_by(MlflowModelVersion.version)))


def _list_latest(session: Session, row: MlflowRegisteredModel) -> list[MlflowModelVersion]:
    return list({version.stage: version for version in _list_versions(session, row)}.values())


def _record(row: MlflowRegisteredModel) -> Record:
    attributes = {
        "name": row.name,
        "timestamp": row.updated_ms,
        "last_updated_timestamp": row.updated_ms,
        "creation_timestamp": row.created_ms,
    }
    return Record(attributes, row.tags)
