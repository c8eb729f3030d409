"""Finds runs by MLflow's ids, and the status that a run shows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, select
from sqlalchemy.orm import Session

from api.mlflow.protocol.errors import invalid, missing
from api.server.database.mlflow_tables import MlflowRun
from api.server.database.models import Job
from api.server.http.schemas import AttemptEnd

STATUSES = {name: name for name in ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")}
STATUS_NUMBERS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
ENDS: Mapping[str, AttemptEnd] = {
    "FINISHED": "succeeded",
    "FAILED": "failed",
    "KILLED": "cancelled",
}
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}", re.A)
# Built once: every write asks it.
_FIND = (
    select(MlflowRun.job_id, MlflowRun.experiment_id, Job.deleted_at)
    .join(Job, Job.id == MlflowRun.job_id)
    .where(MlflowRun.run_uuid == bindparam("run_uuid"))
)


@dataclass(frozen=True)
class RunKey:
    """A run's two ids, and that of its experiment."""

    job_id: str
    run_uuid: str
    experiment_id: int


def require_run(session: Session, run_uuid: str, *, active: bool = False) -> RunKey:
    """Return the run; raises MlflowError where there is none. active: and for a deleted one."""
    if not _RUN_ID.fullmatch(run_uuid):
        raise invalid(f"Invalid value \"{run_uuid[:300]}\" for parameter 'run_id' supplied.")
    row = session.connection().execute(_FIND, {"run_uuid": run_uuid}).one_or_none()
    if row is None:
        raise missing(f"Run with id={run_uuid} not found")
    if active and row.deleted_at is not None:
        raise invalid(f"The run {run_uuid} must be in the 'active' state. Current state is deleted.")
    return RunKey(row.job_id, run_uuid, row.experiment_id)


def status_column() -> ColumnElement[str]:
    """Return the status that a run shows: the job's own where it has ended, whoever ended it."""
    ended: list[Any] = [(Job.state == state, status) for status, state in ENDS.items()]
    return case(*ended, else_=MlflowRun.status)
