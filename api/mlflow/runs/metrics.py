"""Metrics: each logged value is an event of the job, so the pages draw it; its newest point answers searches."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from threading import Lock
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from api.events.log import unpack_body
from api.mlflow.protocol.errors import invalid
from api.mlflow.protocol.names import check_key
from api.mlflow.protocol.requests import Fields, read_offset, show_number, write_offset
from api.mlflow.runs.jobs import LAST_MS, append_metrics, to_ms, to_time
from api.mlflow.runs.params import insert_params, put_tags, read_params, read_tags
from api.mlflow.runs.rows import RunKey, require_run
from api.server.database.engine import dialect_name, insert_for, insert_into
from api.server.database.mlflow_tables import MlflowMetric, MlflowModel, MlflowModelMetric
from api.server.database.models import EventBatch, Job
from ganlib.events import show_float

_MAX_METRICS, _MAX_ITEMS, _MAX_PAIRS = 1000, 1000, 100
_MAX_STEP = 1_000_000_000
_LARGEST = 1.7976931348623157e308
_VALUES_AN_EVENT = 256
_MAX_HISTORY, _MAX_BULK_RUNS, _MAX_SAMPLED = 25_000, 100, 2500
# Pages of one history follow each other; the points of a few are kept.
_CACHED_HISTORIES, _CACHED_POINTS = 4, 500_000

Point = tuple[int, int, float]


@dataclass(frozen=True)
class LoggedMetric:
    """One logged value. dataset: the name and digest of the dataset that it was measured on."""

    key: str
    value: float
    timestamp_ms: int
    step: int
    model_id: str | None = None
    dataset: tuple[str, str] | None = None

    @property
    def order(self) -> tuple[int, int, float]:
        """Newer points are larger."""
        return (self.step, self.timestamp_ms, sortable(self.value))


def log_metric(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/log-metric`."""
    run, metric = require_run(session, fields.run_id(), active=True), _read_metric(fields, "")
    insert_metrics(session, run, [metric])
    return {}


def log_batch(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/log-batch`: all of it is stored, or nothing."""
    run = require_run(session, fields.run_id(), active=True)
    metrics = [_read_metric(item, f"metrics[{place}].") for place, item in enumerate(fields.items("metrics"))]
    params, tags = read_params(fields), read_tags(fields)
    for name, most, count in (
        ("metrics", _MAX_METRICS, len(metrics)),
        ("params", _MAX_PAIRS, len(params)),
        ("tags", _MAX_PAIRS, len(tags)),
        ("metrics, params, and tags", _MAX_ITEMS, len(metrics) + len(params) + len(tags)),
    ):
        if count > most:
            raise invalid(
                f"A batch logging request can contain at most {most} {name}. Got {count} {name}. Please split up "
                f"{name} across multiple requests and try again."
            )
    insert_params(session, run, params)
    insert_metrics(session, run, metrics)
    put_tags(session, run, tags)
    return {}


def insert_metrics(session: Session, run: RunKey, metrics: Sequence[LoggedMetric]) -> None:
    """Append logged values to the job's events, and keep the newest of each metric."""
    if not metrics:
        return
    append_metrics(session, run.job_id, list(_build_rows(metrics)))
    newest: dict[str, LoggedMetric] = {}
    for metric in metrics:
        if metric.key not in newest or metric.order >= newest[metric.key].order:
            newest[metric.key] = metric
    rows = [{"job_id": run.job_id, "key": key, **_point_columns(metric)} for key, metric in sorted(newest.items())]
    session.connection().execute(_keep_newest(dialect_name(session)), rows)
    _insert_model_metrics(session, run, [metric for metric in metrics if metric.model_id])


def get_history(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `metrics/get-history`: every logged point, by time."""
    run, key = require_run(session, fields.run_id()), fields.need("metric_key")
    count, offset = fields.integer("max_results"), read_offset(fields.text("page_token"))
    if count is not None and count <= 0:
        raise invalid(
            f"Invalid value {count} for parameter 'max_results' supplied. It must be a positive integer."
        )
    points = read_history(session, run.job_id, key)
    end = len(points) if count is None else offset + min(count, _MAX_HISTORY)
    shown = {"metrics": [show_point(key, point) for point in points[offset:end]]} if points[offset:end] else {}
    return shown | ({"next_page_token": write_offset(end)} if end < len(points) else {})


def get_history_bulk(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `metrics/get-history-bulk`: the points of several runs."""
    run_ids, key = fields.texts("run_id"), fields.need("metric_key")
    if not 0 < len(run_ids) <= _MAX_BULK_RUNS:
        raise invalid(f"GetMetricHistoryBulk request must specify 1 to {_MAX_BULK_RUNS} run_ids.")
    most = min(fields.integer("max_results") or _MAX_HISTORY, _MAX_HISTORY)
    found: list[dict[str, Any]] = []
    for run_id in sorted(run_ids):
        points = read_history(session, require_run(session, run_id).job_id, key)
        found += [show_point(key, point) | {"run_id": run_id} for point in points[: most - len(found)]]
    return {"metrics": found}


def get_history_interval(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `metrics/get-history-bulk-interval`: evenly sampled points of several runs, by step."""
    run_ids, key = fields.texts("run_ids"), fields.need("metric_key")
    if not 0 < len(run_ids) <= _MAX_BULK_RUNS:
        raise invalid(f"GetMetricHistoryBulkInterval request must specify at most {_MAX_BULK_RUNS} run_ids.")
    count = _MAX_SAMPLED if (given := fields.integer("max_results")) is None else given
    if not 1 <= count <= _MAX_SAMPLED:
        raise invalid(f"max_results must be between 1 and {_MAX_SAMPLED}.")
    first, last = fields.integer("start_step"), fields.integer("end_step")
    if (first is None) != (last is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if first is not None and last is not None and first > last:
        raise invalid(f"end_step must be greater than start_step. Found start_step={first} and end_step={last}.")
    found: list[dict[str, Any]] = []
    for run_id in run_ids:
        points = sorted(
            read_history(session, require_run(session, run_id).job_id, key),
            key=lambda point: (point[1], point[0], sortable(point[2])),
        )
        if first is not None and last is not None:
            points = [point for point in points if first <= point[1] <= last]
        found += [show_point(key, point) | {"run_id": run_id} for point in _sample(points, count)]
    return {"metrics": found} if found else {}


def read_history(session: Session, job_id: str, key: str) -> list[Point]:
    """Return every point of a metric as (time in ms, step, value), by time; a point logged twice is one."""
    last_event_id = session.scalars(select(Job.last_event_id).where(Job.id == job_id)).one()
    name = (job_id, key, last_event_id)
    points = _histories.find(name)
    if points is None:
        unique = {(at, step, repr(value)): (at, step, value) for at, step, value in _scan(session, job_id, key)}
        points = sorted(unique.values(), key=lambda point: (*point[:2], sortable(point[2])))
        _histories.keep(name, points)
    return points


def show_point(key: str, point: Point) -> dict[str, Any]:
    """Return MLflow's form of a point."""
    return {"key": key, "value": show_number(point[2]), "timestamp": point[0], "step": point[1]}


def sortable(value: float) -> float:
    """Return what MLflow sorts and compares a value by: 0 for NaN."""
    return 0.0 if math.isnan(value) else max(-_LARGEST, min(_LARGEST, value))


def restore_value(value: float, flag: str | None) -> float:
    """Return the logged value of a row."""
    return value if flag is None else float(flag)


class _Histories:
    """The points of the histories that were read last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._points: dict[tuple[str, str, int], list[Point]] = {}

    def find(self, name: tuple[str, str, int]) -> list[Point] | None:
        with self._lock:
            return self._points.get(name)

    def keep(self, name: tuple[str, str, int], points: list[Point]) -> None:
        with self._lock:
            while len(self._points) >= _CACHED_HISTORIES:
                self._points.pop(next(iter(self._points)))
            if len(points) <= _CACHED_POINTS // _CACHED_HISTORIES:
                self._points[name] = points


_histories = _Histories()


def _scan(session: Session, job_id: str, key: str) -> Iterable[Point]:
    query = select(EventBatch.body).where(EventBatch.job_id == job_id, EventBatch.first_seq.is_not(None))
    for body in session.scalars(query.order_by(EventBatch.id).execution_options(yield_per=500)):
        for item in unpack_body(body):
            event = item["event"]
            if event["kind"] == "metrics_logged" and key in event["values"]:
                yield to_ms(datetime.fromisoformat(item["at"])), event["iteration"], float(event["values"][key])


def _build_rows(metrics: Sequence[LoggedMetric]) -> Iterable[tuple[datetime, int, dict[str, float]]]:
    """Yield the events of logged values: those of one time and step together, in the order in which they came."""
    for (at, step), group in groupby(metrics, lambda metric: (metric.timestamp_ms, metric.step)):
        values: dict[str, float] = {}
        for metric in group:
            if metric.key in values or len(values) == _VALUES_AN_EVENT:
                yield to_time(at), step, values
                values = {}
            values[metric.key] = metric.value
        yield to_time(at), step, values


def _read_metric(fields: Fields, path: str) -> LoggedMetric:
    key = fields.need("key")
    check_key(key, f"{path}name", "Metric name")
    value, at = fields.need_number("value"), fields.need_integer("timestamp")
    step = fields.integer("step") or 0
    if not 0 <= at <= LAST_MS:
        raise invalid(
            f"Invalid value {at} for parameter '{path}timestamp' supplied: metric '{key}' (value={value}). "
            "Timestamp must be milliseconds since 1970, and before the year 9999."
        )
    if not 0 <= step <= _MAX_STEP:
        raise invalid(
            f"Invalid value {step} for parameter '{path}step' supplied: metric '{key}' (value={value}). Ganvas "
            f"keeps steps from 0 to {_MAX_STEP:,}."
        )
    dataset = (fields.text("dataset_name") or "", fields.text("dataset_digest") or "")
    return LoggedMetric(key, value, at, step, fields.text("model_id") or None, dataset if dataset[0] else None)


def _point_columns(metric: LoggedMetric) -> dict[str, Any]:
    shown = show_float(metric.value)
    flag = shown if isinstance(shown, str) else None
    value = sortable(metric.value)
    return {"value": value, "flag": flag, "timestamp_ms": metric.timestamp_ms, "step": metric.step}


@cache
def _keep_newest(dialect: str) -> Any:
    insert = insert_for(dialect, MlflowMetric)
    given, kept = insert.excluded, MlflowMetric
    same_step, same_time = given.step == kept.step, given.timestamp_ms == kept.timestamp_ms
    is_newer = or_(
        given.step > kept.step,
        and_(same_step, given.timestamp_ms > kept.timestamp_ms),
        and_(same_step, same_time, given.value >= kept.value),
    )
    columns = {name: given[name] for name in ("value", "flag", "timestamp_ms", "step")}
    return insert.on_conflict_do_update(index_elements=["job_id", "key"], set_=columns, where=is_newer)


def _insert_model_metrics(session: Session, run: RunKey, metrics: Sequence[LoggedMetric]) -> None:
    if not metrics:
        return
    wanted = {metric.model_id for metric in metrics}
    known = set(session.scalars(select(MlflowModel.id).where(MlflowModel.id.in_(wanted))))
    rows = [
        {
            "model_id": metric.model_id,
            "key": metric.key,
            "run_uuid": run.run_uuid,
            "dataset_name": metric.dataset[0] if metric.dataset else None,
            "dataset_digest": metric.dataset[1] if metric.dataset else None,
            **_point_columns(metric),
        }
        for metric in metrics
        if metric.model_id in known
    ]
    if rows:
        session.execute(insert_into(session, MlflowModelMetric).on_conflict_do_nothing(), rows)


def _sample(points: list[Point], count: int) -> list[Point]:
    """Return about `count` points, evenly spread, always with the last one."""
    if len(points) <= count:
        return points
    size, larger = divmod(len(points), count)
    # As SQL's NTILE: the first parts are larger by one.
    starts = [part * size + min(part, larger) for part in range(count)]
    return [*(points[start] for start in starts[:-1]), points[-1]] if count > 1 else [points[-1]]
