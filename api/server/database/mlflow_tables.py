"""The tables of MLflow's API: what a job, an event or a file of Ganvas has no place for.

Times are MLflow's own: milliseconds since 1970 by the clock of whoever sent them, or of the service.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from api.server.database.base import Base, BigId

_JOB = "jobs.id"


class MlflowExperiment(Base):
    """A named group of runs; id 0 is MLflow's `Default`."""

    __tablename__ = "mlflow_experiments"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(500), unique=True)
    is_deleted: Mapped[bool]
    created_ms: Mapped[int] = mapped_column(BigInteger)
    updated_ms: Mapped[int] = mapped_column(BigInteger)
    tags: Mapped[dict[str, str]] = mapped_column(JSON)


class MlflowRun(Base):
    """What MLflow knows of a job beyond Ganvas' own columns.

    status: the one that was set last; a job that ended otherwise shows its own. timeline_key: the series of
    pictures that is the job's timeline.
    """

    __tablename__ = "mlflow_runs"
    __table_args__ = (Index("ix_mlflow_runs_experiment_id_start_ms", "experiment_id", "start_ms"),)

    job_id: Mapped[str] = mapped_column(ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True)
    run_uuid: Mapped[str] = mapped_column(String(32), unique=True)
    experiment_id: Mapped[int] = mapped_column(BigId, ForeignKey("mlflow_experiments.id"))
    name: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    start_ms: Mapped[int] = mapped_column(BigInteger)
    end_ms: Mapped[int | None] = mapped_column(BigInteger)
    timeline_key: Mapped[str | None] = mapped_column(Text)


class MlflowParam(Base):
    """A param of a run, which never changes."""

    __tablename__ = "mlflow_params"

    job_id: Mapped[str] = mapped_column(ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(250), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class MlflowTag(Base):
    """A tag of a run."""

    __tablename__ = "mlflow_tags"

    job_id: Mapped[str] = mapped_column(ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(250), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class MlflowMetric(Base):
    """The newest point of a metric by step, time and value; the whole history is in the job's event log.

    value: as MLflow compares it: 0 for NaN, the largest float for an infinite one; `flag` says which it is.
    """

    __tablename__ = "mlflow_metrics"

    job_id: Mapped[str] = mapped_column(ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(250), primary_key=True)
    value: Mapped[float] = mapped_column(Float)
    flag: Mapped[str | None] = mapped_column(String(4))
    timestamp_ms: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[int] = mapped_column(BigInteger)


class MlflowDataset(Base):
    """A dataset that runs of an experiment used, known by name and digest."""

    __tablename__ = "mlflow_datasets"
    __table_args__ = (
        Index("uq_mlflow_datasets_experiment_id_name_digest", "experiment_id", "name", "digest", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    experiment_id: Mapped[int] = mapped_column(BigId, ForeignKey("mlflow_experiments.id"))
    name: Mapped[str] = mapped_column(String(500))
    digest: Mapped[str] = mapped_column(String(36))
    source_type: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    schema: Mapped[str | None] = mapped_column(Text)
    profile: Mapped[str | None] = mapped_column(Text)


class MlflowInput(Base):
    """A dataset that a run used; context: what for, such as `training`."""

    __tablename__ = "mlflow_inputs"

    job_id: Mapped[str] = mapped_column(ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True)
    dataset_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("mlflow_datasets.id"), primary_key=True, autoincrement=False
    )
    context: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[dict[str, str]]] = mapped_column(JSON)


class MlflowModel(Base):
    """A logged model. job_id: the run that it goes with; None once it is registered, when it stands by itself."""

    __tablename__ = "mlflow_models"

    id: Mapped[str] = mapped_column(String(34), primary_key=True)
    experiment_id: Mapped[int] = mapped_column(BigId, ForeignKey("mlflow_experiments.id"), index=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey(_JOB, ondelete="CASCADE"), index=True)
    source_run_id: Mapped[str | None] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(Text)
    model_type: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(32))
    is_deleted: Mapped[bool]
    created_ms: Mapped[int] = mapped_column(BigInteger)
    updated_ms: Mapped[int] = mapped_column(BigInteger)
    params: Mapped[dict[str, str]] = mapped_column(JSON)
    tags: Mapped[dict[str, str]] = mapped_column(JSON)


class MlflowModelMetric(Base):
    """A metric of a logged model; `value` and `flag` as in MlflowMetric."""

    __tablename__ = "mlflow_model_metrics"

    model_id: Mapped[str] = mapped_column(ForeignKey("mlflow_models.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(250), primary_key=True)
    timestamp_ms: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    run_uuid: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[float] = mapped_column(Float)
    flag: Mapped[str | None] = mapped_column(String(4))
    dataset_name: Mapped[str | None] = mapped_column(Text)
    dataset_digest: Mapped[str | None] = mapped_column(Text)


class MlflowModelLink(Base):
    """A logged model that a run used (`input`) or made (`output`, at a step)."""

    __tablename__ = "mlflow_model_links"

    job_id: Mapped[str] = mapped_column(ForeignKey(_JOB, ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(34), primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger)


class MlflowFile(Base):
    """An artifact of a run or of a logged model: a name that its bytes are stored under, never a path on disk.

    owner: the run's or the model's id.
    """

    __tablename__ = "mlflow_files"

    owner: Mapped[str] = mapped_column(String(34), primary_key=True)
    name: Mapped[str] = mapped_column(String(500), primary_key=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey(_JOB, ondelete="CASCADE"), index=True)
    model_id: Mapped[str | None] = mapped_column(ForeignKey("mlflow_models.id", ondelete="CASCADE"), index=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("artifacts.sha256"), index=True)
    size: Mapped[int] = mapped_column(BigInteger)


class MlflowRegisteredModel(Base):
    """A name under which models have versions; aliases: version by alias."""

    __tablename__ = "mlflow_registered_models"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(256), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    updated_ms: Mapped[int] = mapped_column(BigInteger)
    tags: Mapped[dict[str, str]] = mapped_column(JSON)
    aliases: Mapped[dict[str, Any]] = mapped_column(JSON)


class MlflowModelVersion(Base):
    """A version of a registered model; its number is never used again, also after it was deleted."""

    __tablename__ = "mlflow_model_versions"

    registered_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("mlflow_registered_models.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    is_deleted: Mapped[bool]
    stage: Mapped[str] = mapped_column(String(16))
    description: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    storage_location: Mapped[str] = mapped_column(Text)
    run_id: Mapped[str | None] = mapped_column(Text)
    run_link: Mapped[str | None] = mapped_column(Text)
    model_id: Mapped[str | None] = mapped_column(String(34))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    updated_ms: Mapped[int] = mapped_column(BigInteger)
    tags: Mapped[dict[str, str]] = mapped_column(JSON)
