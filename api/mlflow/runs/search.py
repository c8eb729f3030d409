"""The search of runs as one query: MLflow's filter and order over params, tags, newest metrics and datasets."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, cast, exists, func, literal, not_, or_, select
from sqlalchemy.orm import aliased

from api.mlflow.protocol.errors import invalid
from api.mlflow.protocol.filters import Clause, Order, Vocabulary
from api.mlflow.runs.rows import status_column
from api.server.database.mlflow_tables import (
    MlflowDataset,
    MlflowInput,
    MlflowMetric,
    MlflowParam,
    MlflowRun,
    MlflowTag,
)
from api.server.database.models import Job

_ARTIFACT_ROOT = "mlflow-artifacts:/"
WORDS = Vocabulary(
    entities=frozenset({"metric", "parameter", "tag", "attribute", "dataset"}),
    attributes={
        "artifact_uri": False,
        "end_time": True,
        "run_id": False,
        "run_name": False,
        "start_time": True,
        "status": False,
        "user_id": False,
    },
    listed=frozenset({"run_id"}),
    aliases={
        **dict.fromkeys(("created", "Created"), "start_time"),
        **dict.fromkeys(("run name", "Run name", "Run Name"), "run_name"),
    },
    nulls=frozenset({"tag", "parameter"}),
    ordered=frozenset({"artifact_uri", "end_time", "run_id", "run_name", "start_time", "status", "user_id"}),
)


def build_search(
    experiment_ids: Sequence[int],
    deleted: Sequence[bool],
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    dialect: str,
) -> Select[Any]:
    """Return the query of the jobs' ids, in order. deleted: whether deleted runs, others or both are meant."""
    query = select(MlflowRun.job_id).join(Job, Job.id == MlflowRun.job_id)
    query = query.where(MlflowRun.experiment_id.in_(experiment_ids))
    if len(deleted) == 1:
        query = query.where(Job.deleted_at.is_not(None) if deleted[0] else Job.deleted_at.is_(None))
    query = query.where(*(_meets(clause, dialect) for clause in clauses))
    keys: list[ColumnElement[Any]] = []
    for order in orders:
        query, column, last = _add_sorted(query, order)
        keys += [last, column.asc() if order.ascending else column.desc()]
    if not any((order.entity, order.key) == ("attribute", "start_time") for order in orders):
        keys.append(MlflowRun.start_ms.desc())
    return query.order_by(*keys, MlflowRun.run_uuid)


def _meets(clause: Clause, dialect: str) -> ColumnElement[bool]:
    if clause.entity == "attribute":
        return _compare(_attribute(clause.key), clause, dialect)
    if clause.entity == "dataset":
        return _uses_dataset(clause, dialect)
    table: Any = {"metric": MlflowMetric, "parameter": MlflowParam, "tag": MlflowTag}[clause.entity]
    own = (table.job_id == MlflowRun.job_id, table.key == clause.key)
    if clause.comparator in ("IS NULL", "IS NOT NULL"):
        found = exists().where(*own)
        return not_(found) if clause.comparator == "IS NULL" else found
    meets = _compare(table.value, clause, dialect)
    if clause.entity == "metric":
        # NaN is stored as 0, and is only unequal to everything.
        is_nan = table.flag == "nan"
        is_number = or_(table.flag.is_(None), table.flag != "nan")
        meets = or_(meets, is_nan) if clause.comparator == "!=" else and_(meets, is_number)
    return exists().where(*own, meets)


def _uses_dataset(clause: Clause, dialect: str) -> ColumnElement[bool]:
    columns: dict[str, Any] = {
        "name": MlflowDataset.name,
        "digest": MlflowDataset.digest,
        "context": MlflowInput.context,
    }
    own = (MlflowInput.job_id == MlflowRun.job_id, MlflowDataset.id == MlflowInput.dataset_id)
    return exists().where(*own, _compare(columns[clause.key], clause, dialect))


def _attribute(key: str) -> Any:
    columns: dict[str, Any] = {
        "artifact_uri": literal(_ARTIFACT_ROOT)
        + cast(MlflowRun.experiment_id, String)
        + "/"
        + MlflowRun.run_uuid
        + "/artifacts",
        "end_time": MlflowRun.end_ms,
        "run_id": MlflowRun.run_uuid,
        "run_name": MlflowRun.name,
        "start_time": MlflowRun.start_ms,
        "status": status_column(),
        "user_id": MlflowRun.user_id,
    }
    return columns[key]


def _compare(column: Any, clause: Clause, dialect: str) -> ColumnElement[bool]:
    value = clause.value
    compared: ColumnElement[bool]
    match clause.comparator:
        case "=":
            compared = column == value
        case "!=":
            compared = column != value
        case "<":
            compared = column < value
        case "<=":
            compared = column <= value
        case ">":
            compared = column > value
        case ">=":
            compared = column >= value
        case "IN":
            compared = column.in_(value)
        case "NOT IN":
            compared = column.not_in(value)
        case comparator:
            compared = _like(column, str(value), comparator == "ILIKE", dialect)
    return compared


def _like(column: Any, pattern: str, ignores_case: bool, dialect: str) -> Any:
    """Return a LIKE without an escape sign: MLflow knows none."""
    if dialect == "postgresql":
        return column.ilike(pattern, escape="") if ignores_case else column.like(pattern, escape="")
    if ignores_case:
        return func.lower(column).like(pattern.lower())
    # SQLite's LIKE ignores the case of ASCII letters, its GLOB does not.
    signs = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return column.op("GLOB")("".join(signs.get(sign, sign) for sign in pattern))


def _add_sorted(query: Select[Any], order: Order) -> tuple[Select[Any], Any, ColumnElement[int]]:
    """Return the query with what the key needs, the key, and a key before it that puts runs without one last."""
    if order.entity == "attribute":
        column = _attribute(order.key)
        return query, column, case((column.is_(None), 1), else_=0)
    if order.entity == "dataset":
        raise invalid("Invalid identifier type 'dataset': runs are not sorted by their datasets.")
    table: Any = aliased({"metric": MlflowMetric, "parameter": MlflowParam, "tag": MlflowTag}[order.entity])
    query = query.outerjoin(table, and_(table.job_id == MlflowRun.job_id, table.key == order.key))
    is_missing: list[Any] = [(table.value.is_(None), 2)]
    if order.entity == "metric":
        is_missing.insert(0, (table.flag == "nan", 1))
    return query, table.value, case(*is_missing, else_=0)
