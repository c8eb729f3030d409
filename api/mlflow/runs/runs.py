"""Runs: each is a job of origin `mlflow`, so that the pages show it like any other."""

import secrets
import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.mlflow.experiments import (
    VIEW_NUMBERS,
    VIEWS,
    find_experiment,
    read_experiment_id,
    require_active,
    show_stage,
)
from api.mlflow.protocol.errors import invalid
from api.mlflow.protocol.filters import parse_filter, parse_orders
from api.mlflow.protocol.names import MAX_RUN_NAME, check_length
from api.mlflow.protocol.requests import Fields, read_count, read_offset, show_number, write_offset
from api.mlflow.runs.inputs import read_inputs, read_model_links
from api.mlflow.runs.jobs import end_job, hide_job, open_job, reopen_job, show_job
from api.mlflow.runs.metrics import restore_value
from api.mlflow.runs.params import RUN_NAME, list_job_tags, put_tags, read_tags
from api.mlflow.runs.rows import ENDS, STATUS_NUMBERS, STATUSES, RunKey, require_run, status_column
from api.mlflow.runs.search import WORDS, build_search
from api.server.database.engine import dialect_name
from api.server.database.mlflow_tables import MlflowMetric, MlflowParam, MlflowRun, MlflowTag
from api.server.database.models import Job

_MAX_RESULTS = 50_000
_FIRST = ("amber", "bold", "calm", "deft", "eager", "fair", "gentle", "hazy", "keen", "lucid", "mellow", "quiet")
_SECOND = (
    "badger",
    "crane",
    "finch",
    "heron",
    "lynx",
    "marten",
    "otter",
    "plover",
    "raven",
    "stoat",
    "tern",
    "wren",
)


def create_run(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/create`."""
    experiment = require_active(find_experiment(session, fields.text("experiment_id") or "0"))
    tags = dict(read_tags(fields))
    name, tagged = fields.text("run_name"), tags.get(RUN_NAME)
    if name and tagged and name != tagged:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{name}', mlflow.runName='{tagged}')."
        )
    name = name or tagged or _make_name()
    check_length("run_name", MAX_RUN_NAME, name)
    tags.setdefault(RUN_NAME, name)
    run_uuid, start = uuid.uuid4().hex, fields.integer("start_time") or 0
    job_id = open_job(session, run_uuid, name, list_job_tags(experiment.name, tags), tags, start)
    row = MlflowRun(
        job_id=job_id,
        run_uuid=run_uuid,
        experiment_id=experiment.id,
        name=name,
        user_id=fields.text("user_id") or "",
        status="RUNNING",
        start_ms=start,
    )
    session.add(row)
    session.flush()
    put_tags(session, RunKey(job_id, run_uuid, experiment.id), tags.items())
    shown = _read_run(session, job_id)
    del shown["outputs"]
    return {"run": shown}


def get_run(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/get`."""
    return {"run": _read_run(session, require_run(session, fields.run_id()).job_id)}


def search_runs(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/search`."""
    clauses, orders = parse_filter(fields.text("filter"), WORDS), parse_orders(fields.texts("order_by"), WORDS)
    stages = fields.choice("run_view_type", VIEWS, VIEW_NUMBERS) or VIEWS["ACTIVE_ONLY"]
    count, offset = read_count(fields, 1000, _MAX_RESULTS), read_offset(fields.text("page_token"))
    experiment_ids = [read_experiment_id(text) for text in fields.texts("experiment_ids")]
    query = build_search(experiment_ids, stages, clauses, orders, dialect_name(session))
    job_ids = list(session.scalars(query.offset(offset).limit(count + 1)))
    shown = _read_runs(session, job_ids[:count])
    page = {"runs": shown} if shown else {}
    return page | ({"next_page_token": write_offset(offset + count)} if len(job_ids) > count else {})


def update_run(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/update`: its status, end and name; a run that had ended goes on with status RUNNING."""
    run = require_run(session, fields.run_id(), active=True)
    status = fields.choice("status", STATUSES, STATUS_NUMBERS)
    end, name = fields.integer("end_time"), fields.text("run_name")
    if name:
        check_length("run_name", MAX_RUN_NAME, name)
        put_tags(session, run, [(RUN_NAME, name)])
    row = session.get_one(MlflowRun, run.job_id)
    if status in ENDS:
        end_job(session, run.job_id, run.run_uuid, ENDS[status], end)
    elif status is not None:
        reopen_job(session, run.job_id, run.run_uuid)
    row.status = status or row.status
    row.end_ms = row.end_ms if end is None else end
    session.flush()
    return {"run_info": _read_run(session, run.job_id)["info"]}


def delete_run(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/delete`: the job is hidden from the lists, and purged days later like any deleted job."""
    hide_job(session, require_run(session, fields.run_id()).job_id)
    return {}


def restore_run(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/restore`."""
    show_job(session, require_run(session, fields.run_id()).job_id)
    return {}


def artifact_uri(experiment_id: int, run_uuid: str) -> str:
    """Return the address that MLflow's client names a run's artifacts by."""
    return f"mlflow-artifacts:/{experiment_id}/{run_uuid}/artifacts"


def _read_run(session: Session, job_id: str) -> dict[str, Any]:
    (shown,) = _read_runs(session, [job_id])
    return shown


def _read_runs(session: Session, job_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return MLflow's form of these runs, in this order; each table is asked once."""
    if not job_ids:
        return []
    columns = (MlflowRun, Job.deleted_at, Job.ended_at, status_column().label("status"))
    query = select(*columns).join(Job, Job.id == MlflowRun.job_id).where(MlflowRun.job_id.in_(job_ids))
    infos = {
        run.job_id: _show_info(run, deleted_at, ended_at, status)
        for run, deleted_at, ended_at, status in session.execute(query)
    }
    data = _read_data(session, job_ids)
    inputs, links = read_inputs(session, job_ids), read_model_links(session, job_ids)
    shown = []
    for job_id in job_ids:
        used = inputs.get(job_id, {}) | links["input"].get(job_id, {})
        run = {"info": infos[job_id], "data": data[job_id], "inputs": used}
        shown.append(run | {"outputs": links["output"].get(job_id, {})})
    return shown


def _read_data(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(dict)
    for row in session.scalars(select(MlflowMetric).where(MlflowMetric.job_id.in_(job_ids))):
        value = show_number(restore_value(row.value, row.flag))
        metric = {"key": row.key, "value": value, "timestamp": row.timestamp_ms, "step": row.step}
        found[row.job_id].setdefault("metrics", []).append(metric)
    for name, table in (("params", MlflowParam), ("tags", MlflowTag)):
        pairs = select(table.job_id, table.key, table.value).where(table.job_id.in_(job_ids))
        for job_id, key, value in session.execute(pairs):
            found[job_id].setdefault(name, []).append({"key": key, "value": value})
    return found


def _show_info(
    run: MlflowRun, deleted_at: datetime | None, ended_at: datetime | None, status: str
) -> dict[str, Any]:
    end = run.end_ms
    if end is None and ended_at is not None and run.status not in ENDS:
        # It ended without its client, such as by a person on its page.
        end = int(ended_at.timestamp() * 1000)
    return {
        "run_uuid": run.run_uuid,
        "experiment_id": str(run.experiment_id),
        "run_name": run.name,
        "user_id": run.user_id,
        "status": status,
        "start_time": run.start_ms,
        **({"end_time": end} if end else {}),
        "artifact_uri": artifact_uri(run.experiment_id, run.run_uuid),
        "lifecycle_stage": show_stage(deleted_at is not None),
        "run_id": run.run_uuid,
    }


def _make_name() -> str:
    return f"{secrets.choice(_FIRST)}-{secrets.choice(_SECOND)}-{secrets.randbelow(1000)}"
