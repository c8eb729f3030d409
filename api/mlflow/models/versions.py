"""Versions of registered models. A source names files of this service, or files that it never reads."""

import json
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.mlflow.experiments import now_ms, show_page
from api.mlflow.models.logged import find_model, model_uri
from api.mlflow.models.registered import (
    PROMPT,
    find_registered,
    find_version,
    matches_registry,
    read_registry_tag,
    read_registry_tags,
    read_stage,
    show_version,
)
from api.mlflow.protocol.errors import MlflowError, invalid
from api.mlflow.protocol.filters import Vocabulary, parse_filter, parse_orders
from api.mlflow.protocol.names import check_path, read_version
from api.mlflow.protocol.records import Record, sort_records
from api.mlflow.protocol.requests import Fields, read_count, read_offset
from api.mlflow.runs.rows import require_run
from api.server.database.mlflow_tables import MlflowModelVersion, MlflowRegisteredModel, MlflowRun

_VERSIONS_TAG = "mlflow.modelVersions"
_ACTIVE_STAGES = ["Staging", "Production"]
_MAX_VERSIONS = 200_000
_RUN_SOURCE = re.compile(r"runs:/+(?P<run>[0-9a-f]{32})/(?P<path>.+)")
_MODEL_SOURCE = re.compile(r"models:/(?P<model>m-[0-9a-f]{32})")
_VERSION_SOURCE = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")
_RUN_FILES = re.compile(r"mlflow-artifacts:/(?P<experiment>\d+)/(?P<run>[0-9a-f]{32})/artifacts(?:/(?P<path>.+))?")
_MODEL_FILES = re.compile(
    r"mlflow-artifacts:/(?P<experiment>\d+)/models/(?P<model>m-[0-9a-f]{32})/artifacts(?:/(?P<path>.+))?"
)
# Stores of others, from which the client itself reads.
_FOREIGN = frozenset({"s3", "gs", "wasbs", "abfss", "hdfs", "hf", "dbfs", "http", "https", "azureml", "r2", "b2"})
_WORDS = Vocabulary(
    entities=frozenset({"attribute", "tag"}),
    attributes={"name": False, "version_number": True, "run_id": False, "source_path": False},
    listed=frozenset({"name", "run_id"}),
    ordered=frozenset({"name", "version_number", "creation_timestamp", "last_updated_timestamp"}),
)


def create_version(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `model-versions/create`."""
    row = find_registered(session, fields.need("name"), locked=True)
    source, tags, now = fields.need("source"), read_registry_tags(fields), now_ms()
    run_id, model_id = fields.text("run_id") or "", fields.text("model_id") or None
    if tags.get(PROMPT, "false").lower() == "true":
        place = source
    else:
        source, place, run_id, model_id = _read_source(session, source, run_id, model_id)
    query = select(func.max(MlflowModelVersion.version)).where(MlflowModelVersion.registered_id == row.id)
    version = MlflowModelVersion(
        registered_id=row.id,
        version=(session.scalars(query).one() or 0) + 1,
        is_deleted=False,
        stage="None",
        description=fields.text("description") or "",
        source=source,
        storage_location=place,
        run_id=run_id,
        run_link=fields.text("run_link") or "",
        model_id=model_id,
        created_ms=now,
        updated_ms=now,
        tags=tags,
    )
    session.add(version)
    row.updated_ms = now
    if model_id:
        _mark_registered(session, model_id, row.name, version.version)
    session.flush()
    return {"model_version": show_version(row, version)}


def get_version(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `model-versions/get`."""
    row, version = _find(session, fields)
    return {"model_version": show_version(row, version)}


def get_download_uri(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `model-versions/get-download-uri`: where the version's files are."""
    _, version = _find(session, fields)
    return {"artifact_uri": version.storage_location}


def update_version(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `model-versions/update`: its description."""
    row, version = _find(session, fields, locked=True)
    version.description, version.updated_ms = fields.text("description") or "", now_ms()
    return {"model_version": show_version(row, version)}


def move_version(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `model-versions/transition-stage`."""
    row, version = _find(session, fields, locked=True)
    stage, archives, now = read_stage(fields.need("stage")), fields.flag("archive_existing_versions"), now_ms()
    if archives and stage not in _ACTIVE_STAGES:
        raise MlflowError(
            "INTERNAL_ERROR",
            f"Model version transition cannot archive existing model versions because '{stage}' is not an Active "
            f"stage. Valid stages are {_ACTIVE_STAGES}",
        )
    if archives:
        others = (MlflowModelVersion.registered_id == row.id, MlflowModelVersion.stage == stage)
        for other in session.scalars(select(MlflowModelVersion).where(*others)):
            if other.version != version.version:
                other.stage, other.updated_ms = "Archived", now
    version.stage, version.updated_ms, row.updated_ms = stage, now, now
    return {"model_version": show_version(row, version)}


def delete_version(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `model-versions/delete`; its number is never given again."""
    row, version = _find(session, fields, locked=True)
    version.is_deleted, version.updated_ms, row.updated_ms = True, now_ms(), now_ms()
    row.aliases = {alias: number for alias, number in row.aliases.items() if number != version.version}
    return {}


def set_version_tag(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `model-versions/set-tag`."""
    key, value = read_registry_tag(fields)
    _, version = _find(session, fields, locked=True)
    version.tags = version.tags | {key: value}
    return {}


def delete_version_tag(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `model-versions/delete-tag`; one that is not there is no error."""
    _, version = _find(session, fields, locked=True)
    gone = fields.need("key")
    version.tags = {key: value for key, value in version.tags.items() if key != gone}
    return {}


def search_versions(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `model-versions/search`."""
    clauses = parse_filter(fields.text("filter"), _WORDS)
    default = ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]
    orders = parse_orders(fields.texts("order_by") or default, _WORDS)
    count, offset = read_count(fields, 10_000, _MAX_VERSIONS), read_offset(fields.text("page_token"))
    query = select(MlflowRegisteredModel, MlflowModelVersion).join(
        MlflowModelVersion, MlflowModelVersion.registered_id == MlflowRegisteredModel.id
    )
    answer = session.execute(query.where(MlflowModelVersion.is_deleted.is_(False)))
    rows = [(registered, version) for registered, version in answer]
    found = [pair for pair in rows if matches_registry(_record(pair), clauses)]
    found.sort(key=lambda pair: (pair[0].name, -pair[1].version))
    found = sort_records(found, _record, orders)
    shown = [show_version(*pair, with_aliases=False) for pair in found[offset : offset + count]]
    return show_page("model_versions", shown, found, offset)


def _read_source(
    session: Session, source: str, run_id: str, model_id: str | None
) -> tuple[str, str, str, str | None]:
    """Return source, place of its files, run and model; raises MlflowError for what is not theirs.

    A source of this service must belong to the run or the model that the request names: else a version would be a
    way to files of others.
    """
    _check_plain(source)
    if match := _MODEL_SOURCE.fullmatch(source):
        model = find_model(session, match["model"])
        if model_id is not None and model_id != model.id:
            raise _foreign(source, "model_id")
        return source, model_uri(model), run_id or model.source_run_id or "", model.id
    if match := _VERSION_SOURCE.fullmatch(source):
        return _read_version_source(session, match, run_id, model_id)
    if match := _RUN_SOURCE.fullmatch(source):
        # The client resolves it: below a run it also finds the models that the run logged.
        _place_of_run(session, source, match["run"], run_id, check_path(match["path"]))
        return source, source, run_id, model_id
    if match := _MODEL_FILES.fullmatch(source):
        model = find_model(session, match["model"])
        if model_id != model.id or int(match["experiment"]) != model.experiment_id:
            raise _foreign(source, "model_id")
        check_path(match["path"] or "MLmodel")
        return source, source, run_id or model.source_run_id or "", model.id
    if match := _RUN_FILES.fullmatch(source):
        path = check_path(match["path"]) if match["path"] else ""
        place = _place_of_run(session, source, match["run"], run_id, path)
        if place.rstrip("/") != source.rstrip("/"):
            raise _foreign(source, "run_id")
        return source, source, run_id, model_id
    if urlsplit(source).scheme not in _FOREIGN or "/mlflow-artifacts/" in source:
        raise invalid(
            f"Invalid model version source: '{source[:300]}'. Name a model of this service (runs:/, models:/) "
            "or a store that your programs read themselves."
        )
    return source, source, run_id, model_id


def _read_version_source(
    session: Session, match: re.Match[str], run_id: str, model_id: str | None
) -> tuple[str, str, str, str | None]:
    row = find_registered(session, unquote(match["name"]))
    if match["alias"] and match["alias"] not in row.aliases:
        raise invalid(f"Registered model alias {match['alias']} not found.")
    number = row.aliases[match["alias"]] if match["alias"] else read_version(match["version"])
    version = find_version(session, row, number)
    if (run_id and run_id != version.run_id) or (model_id and model_id != version.model_id):
        raise invalid(
            f"Invalid model version source: '{match[0]}'. The run_id and model_id request parameters must "
            "match the referenced model version."
        )
    source = f"models:/{row.name}/{version.version}"
    return source, version.storage_location, version.run_id or "", version.model_id


def _place_of_run(session: Session, source: str, named: str, run_id: str, path: str) -> str:
    if named != run_id:
        raise _foreign(source, "run_id")
    experiment_id = session.get_one(MlflowRun, require_run(session, named).job_id).experiment_id
    return f"mlflow-artifacts:/{experiment_id}/{named}/artifacts" + (f"/{path}" if path else "")


def _check_plain(source: str) -> None:
    """Raise MlflowError for a source with ways out of its place, however they are encoded."""
    decoded = source
    while (plain := unquote(decoded)) != decoded:
        decoded = plain
    if not decoded.isprintable() or "\\" in decoded or ".." in decoded.split("/"):
        raise invalid(
            f"Invalid model version source: '{source[:300]}'. If supplying a source as an http, https, local file "
            "path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without "
            "relative path references present. Please provide an absolute path."
        )


def _foreign(source: str, name: str) -> MlflowError:
    return invalid(
        f"Invalid model version source: '{source[:300]}'. The {name} request parameter must identify the resource "
        "that contains the source."
    )


def _mark_registered(session: Session, model_id: str, name: str, version: int) -> None:
    """Note the version at its model, which from now on stays when its run is deleted."""
    model = find_model(session, model_id, locked=True)
    model.job_id = None
    try:
        known = json.loads(model.tags.get(_VERSIONS_TAG, "[]"))
    except (ValueError, RecursionError):
        # The tag is the client's to write, too.
        known = []
    own = {"name": name, "version": version}
    if isinstance(known, list) and own not in known:
        model.tags = model.tags | {_VERSIONS_TAG: json.dumps([*known, own])}


def _find(
    session: Session, fields: Fields, *, locked: bool = False
) -> tuple[MlflowRegisteredModel, MlflowModelVersion]:
    number = read_version(fields.need("version"))
    row = find_registered(session, fields.need("name"), locked=locked)
    return row, find_version(session, row, number)


def _record(pair: tuple[MlflowRegisteredModel, MlflowModelVersion]) -> Record:
    row, version = pair
    attributes = {
        "name": row.name,
        "version_number": version.version,
        "run_id": version.run_id,
        "source_path": version.source,
        "creation_timestamp": version.created_ms,
        "last_updated_timestamp": version.updated_ms,
    }
    return Record(attributes, version.tags)
