"""Logged models: files with params, tags and metrics, made by a run or by none."""

import base64
import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.mlflow.experiments import find_experiment, now_ms, read_experiment_id, require_active, show_tags
from api.mlflow.protocol.errors import invalid, missing
from api.mlflow.protocol.filters import Entity, Order, Vocabulary, parse_filter
from api.mlflow.protocol.names import MAX_PARAM_VALUE, MAX_TAG_VALUE, check_key, check_length, cut
from api.mlflow.protocol.records import Record, matches, sort_records
from api.mlflow.protocol.requests import Fields, read_count, show_number
from api.mlflow.runs.metrics import restore_value
from api.mlflow.runs.params import put_tags
from api.mlflow.runs.rows import require_run
from api.server.database.mlflow_tables import MlflowFile, MlflowModel, MlflowModelMetric, MlflowTag

_STATUSES = {
    name: name
    for name in (
        "LOGGED_MODEL_STATUS_UNSPECIFIED",
        "LOGGED_MODEL_PENDING",
        "LOGGED_MODEL_READY",
        "LOGGED_MODEL_UPLOAD_FAILED",
    )
}
_STATUS_NUMBERS = dict(enumerate(_STATUSES))
_HISTORY = "mlflow.log-model.history"
_MODEL_FIELDS = ("artifact_path", "flavors", "run_id", "utc_time_created")
_MAX_NAME, _MAX_RESULTS = 500, 1000
_WORDS = Vocabulary(
    entities=frozenset({"metric", "parameter", "tag", "attribute"}),
    attributes={
        "name": False,
        "model_id": False,
        "model_type": False,
        "status": False,
        "source_run_id": False,
        "creation_timestamp": True,
        "last_updated_timestamp": True,
    },
    listed=frozenset({"name", "model_id", "model_type", "status", "source_run_id"}),
    aliases={"creation_time": "creation_timestamp", "last_updated_time": "last_updated_timestamp"},
)


def create_model(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `logged-models`."""
    experiment = require_active(find_experiment(session, fields.need("experiment_id")))
    run_uuid, now = fields.text("source_run_id") or None, now_ms()
    job_id = require_run(session, run_uuid).job_id if run_uuid else None
    name = fields.text("name") or f"model-{uuid.uuid4().hex[:8]}"
    _check_name(name)
    row = MlflowModel(
        id=f"m-{uuid.uuid4().hex}",
        experiment_id=experiment.id,
        job_id=job_id,
        source_run_id=run_uuid,
        name=name,
        model_type=fields.text("model_type"),
        status="LOGGED_MODEL_PENDING",
        is_deleted=False,
        created_ms=now,
        updated_ms=now,
        params=_read_pairs(fields, "params", MAX_PARAM_VALUE),
        tags=_read_pairs(fields, "tags", MAX_TAG_VALUE),
    )
    session.add(row)
    session.flush()
    return {"model": _show_model(row, ())}


def get_model(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `logged-models/{model_id}`."""
    row = find_model(session, fields.need("model_id"), deleted=fields.flag("allow_deleted"))
    return {"model": _show_models(session, [row])[0]}


def finalize_model(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer the PATCH of `logged-models/{model_id}`: its files are there, or could not be sent."""
    row = find_model(session, fields.need("model_id"), locked=True)
    status = fields.choice("status", _STATUSES, _STATUS_NUMBERS)
    if status is None:
        raise invalid("Missing value for required parameter 'status'.")
    row.status, row.updated_ms = status, now_ms()
    return {"model": _show_models(session, [row])[0]}


def delete_model(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer the DELETE of `logged-models/{model_id}`; its files go, what is known of it stays."""
    row = find_model(session, fields.need("model_id"), locked=True, deleted=True)
    row.is_deleted, row.updated_ms = True, now_ms()
    session.execute(delete(MlflowFile).where(MlflowFile.owner == row.id))
    return {}


def set_model_tags(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `logged-models/{model_id}/tags`."""
    row = find_model(session, fields.need("model_id"), locked=True)
    row.tags = row.tags | _read_pairs(fields, "tags", MAX_TAG_VALUE)
    return {}


def delete_model_tag(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer the DELETE of `logged-models/{model_id}/tags/{tag_key}`."""
    row, key = find_model(session, fields.need("model_id"), locked=True), fields.need("tag_key")
    if key not in row.tags:
        raise missing(f"No tag with key {key!r} found for model with ID {row.id!r}.")
    row.tags = {name: value for name, value in row.tags.items() if name != key}
    return {}


def log_model_params(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `logged-models/{model_id}/params`."""
    row = find_model(session, fields.need("model_id"), locked=True)
    row.params = row.params | _read_pairs(fields, "params", MAX_PARAM_VALUE)
    return {}


def search_models(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `logged-models/search`."""
    experiment_ids, text = fields.texts("experiment_ids"), fields.text("filter")
    if not experiment_ids:
        raise invalid("Missing value for required parameter 'experiment_ids'.")
    datasets = [(item.need("dataset_name"), item.text("dataset_digest")) for item in fields.items("datasets")]
    asked = {"experiment_ids": experiment_ids, "filter": text, "order_by": _list_orders(fields)}
    clauses, orders = parse_filter(text, _WORDS), _read_orders(fields)
    count, offset = read_count(fields, 100, _MAX_RESULTS), _read_offset(fields.text("page_token"), asked)
    ids = [read_experiment_id(each) for each in experiment_ids]
    query = select(MlflowModel).where(MlflowModel.experiment_id.in_(ids), MlflowModel.is_deleted.is_(False))
    rows = list(session.scalars(query.order_by(MlflowModel.created_ms.desc(), MlflowModel.id)))
    metrics = _read_metrics(session, rows)
    on_datasets = {row.id: [each for each in metrics[row.id] if _is_on(each, datasets)] for row in rows}
    rows = [row for row in rows if not datasets or on_datasets[row.id]]
    found = [row for row in rows if matches(_record(row, on_datasets[row.id]), clauses)]
    for order, name, digest in reversed(orders):
        chosen = [(name, digest)] if name else []
        used = {row.id: [each for each in metrics[row.id] if _is_on(each, chosen)] for row in found}
        found = sort_records(found, lambda row, used=used: _record(row, used[row.id][-1:]), [order])  # type: ignore[misc]
    page = found[offset : offset + count]
    shown = [_show_model(row, metrics[row.id]) for row in page]
    answer: dict[str, Any] = {"models": shown} if shown else {}
    more = offset + count < len(found)
    return answer | ({"next_page_token": _write_offset(offset + count, asked)} if more else {})


def record_model(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/log-model`, by which clients before MLflow 3 say that a run's folder holds a model."""
    run = require_run(session, fields.run_id(), active=True)
    try:
        model = json.loads(fields.need("model_json"))
    except (ValueError, RecursionError):
        raise invalid("Malformed model info: model_json is not a valid JSON.") from None
    absent = [name for name in _MODEL_FIELDS if not isinstance(model, dict) or name not in model]
    if absent:
        raise invalid(f"Model json is missing mandatory fields: {absent}")
    kept = {name: value for name, value in model.items() if name != "signature"}
    earlier = session.get(MlflowTag, (run.job_id, _HISTORY))
    history = json.dumps([*(json.loads(earlier.value) if earlier else []), kept])
    check_length("value", MAX_TAG_VALUE, history)
    put_tags(session, run, [(_HISTORY, history)])
    return {}


def find_model(session: Session, model_id: str, *, locked: bool = False, deleted: bool = False) -> MlflowModel:
    """Return a logged model; raises MlflowError. deleted: also one that was deleted."""
    row = session.get(MlflowModel, model_id, with_for_update=locked or None)
    if row is None or (row.is_deleted and not deleted):
        raise missing(f"Logged model with ID '{model_id[:100]}' not found.")
    return row


def model_uri(row: MlflowModel) -> str:
    """Return the address that MLflow's client names a model's files by."""
    return f"mlflow-artifacts:/{row.experiment_id}/models/{row.id}/artifacts"


def _show_models(session: Session, rows: Sequence[MlflowModel]) -> list[dict[str, Any]]:
    metrics = _read_metrics(session, rows)
    return [_show_model(row, metrics[row.id]) for row in rows]


def _show_model(row: MlflowModel, metrics: Iterable[MlflowModelMetric]) -> dict[str, Any]:
    info: dict[str, Any] = {
        "model_id": row.id,
        "experiment_id": str(row.experiment_id),
        "name": row.name,
        "creation_timestamp_ms": row.created_ms,
        "last_updated_timestamp_ms": row.updated_ms,
        "artifact_uri": model_uri(row),
        "status": row.status,
        "model_type": row.model_type or "",
        "source_run_id": row.source_run_id or "",
    }
    shown = [_show_metric(metric) for metric in metrics]
    data = show_tags(row.params, "params") | ({"metrics": shown} if shown else {})
    return {"info": info | show_tags(row.tags), "data": data}


def _show_metric(row: MlflowModelMetric) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "key": row.key,
        "value": show_number(restore_value(row.value, row.flag)),
        "timestamp": row.timestamp_ms,
        "step": row.step,
        "model_id": row.model_id,
        "run_id": row.run_uuid,
    }
    optional = {"dataset_name": row.dataset_name, "dataset_digest": row.dataset_digest}
    return shown | {name: value for name, value in optional.items() if value}


def _read_metrics(session: Session, rows: Sequence[MlflowModel]) -> Mapping[str, list[MlflowModelMetric]]:
    """Return the metrics of models, the newest last."""
    found: dict[str, list[MlflowModelMetric]] = defaultdict(list)
    ids = [row.id for row in rows]
    for start in range(0, len(ids), 500):
        query = select(MlflowModelMetric).where(MlflowModelMetric.model_id.in_(ids[start : start + 500]))
        order = (MlflowModelMetric.timestamp_ms, MlflowModelMetric.step)
        for metric in session.scalars(query.order_by(*order)):
            found[metric.model_id].append(metric)
    return found


def _record(row: MlflowModel, metrics: Iterable[MlflowModelMetric]) -> Record:
    values: dict[str, list[float]] = {}
    for metric in metrics:
        values.setdefault(metric.key, []).append(metric.value)
    attributes = {
        "name": row.name,
        "model_id": row.id,
        "model_type": row.model_type,
        # MLflow's filters know the word behind `LOGGED_MODEL_`.
        "status": row.status.removeprefix("LOGGED_MODEL_"),
        "source_run_id": row.source_run_id,
        "creation_timestamp": row.created_ms,
        "last_updated_timestamp": row.updated_ms,
    }
    return Record(attributes, row.tags, row.params, values)


def _is_on(metric: MlflowModelMetric, datasets: Sequence[tuple[str, str | None]]) -> bool:
    return not datasets or any(
        metric.dataset_name == name and (not digest or metric.dataset_digest == digest)
        for name, digest in datasets
    )


def _list_orders(fields: Fields) -> list[list[Any]]:
    items = fields.items("order_by")
    names = ("field_name", "dataset_name", "dataset_digest")
    return [[*(item.text(name) for name in names), item.flag("ascending", default=True)] for item in items]


def _read_orders(fields: Fields) -> list[tuple[Order, str | None, str | None]]:
    orders = []
    for field, name, digest, ascending in _list_orders(fields):
        if not field:
            raise invalid("`field_name` in the `order_by` clause must be specified.")
        if digest and not name:
            raise invalid("`dataset_digest` can only be specified if `dataset_name` is also specified.")
        group, dot, key = field.partition(".")
        entity: Entity = "metric" if dot else "attribute"
        key = key.strip("`") if dot else (_WORDS.aliases or {}).get(field, field)
        if (dot and group != "metrics") or (not dot and key not in _WORDS.attributes):
            raise invalid(f"Invalid order by field name: {field}")
        orders.append((Order(entity, key, ascending), name, digest))
    return orders


def _read_offset(token: str | None, asked: Mapping[str, Any]) -> int:
    """Return where a page begins; raises MlflowError for the token of another search."""
    if not token:
        return 0
    try:
        read = json.loads(base64.b64decode(token, validate=True))
        offset = read.pop("offset")
    except (ValueError, TypeError, KeyError, AttributeError):
        raise invalid("Invalid page token.") from None
    if read != asked or not isinstance(offset, int) or offset < 0:
        raise invalid("The page token belongs to another search: repeat the experiments, filter and order.")
    return offset


def _write_offset(offset: int, asked: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps({**asked, "offset": offset}).encode()).decode()


def _read_pairs(fields: Fields, name: str, most: int) -> dict[str, str]:
    pairs = fields.pairs(name)
    for key, _ in pairs:
        check_key(key, f"{name}.key", "key")
    return {key: cut(value, most) for key, value in pairs}


def _check_name(name: str) -> None:
    check_length("name", _MAX_NAME, name)
    if any(sign in name for sign in "/:.%\"'"):
        raise invalid(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string and cannot contain "
            "the following characters: ('/', ':', '.', '%', '\"', \"'\")"
        )
