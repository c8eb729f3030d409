"""The tables. Every time is UTC from the database's clock.

docs/explanation/architecture.md says why curves are chunked.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from api.server.database import mlflow_tables as mlflow_tables
from api.server.database.base import GANLIB as GANLIB
from api.server.database.base import RUN_KEY as RUN_KEY
from api.server.database.base import Base as Base
from api.server.database.base import BigId, MetricText
from api.server.database.shares import Share as Share


class Job(Base):
    """A submitted spec and its state."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_claim_order", "state", "priority", "created_at"),
        # One for each sort of the list, over the jobs that are not deleted, and one over the deleted ones. The
        # migrations hold these conditions: here, SQLAlchemy would load its PostgreSQL dialect on SQLite, too.
        *(
            Index(f"ix_jobs_{column}_id", column, "id")
            for column in ("created_at", "name", "state", "iteration", "iterations")
        ),
        Index("ix_jobs_deleted_at", "deleted_at"),
        Index("ix_jobs_state_lease_ends_at", "state", "lease_ends_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    # Who writes it: `ganlib` for a spec that workers train; a loop of somebody's own, or another tracker.
    origin: Mapped[str] = mapped_column(String(16), default=GANLIB, server_default=GANLIB)
    name: Mapped[str] = mapped_column(String(100))
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    seed: Mapped[int] = mapped_column(BigInteger)
    # 0 where no end was planned.
    iterations: Mapped[int] = mapped_column(Integer)
    device: Mapped[str] = mapped_column(String(8), default="auto")
    idempotency_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    spec_sha256: Mapped[str] = mapped_column(String(64))

    state: Mapped[str] = mapped_column(String(16), default="queued")
    priority: Mapped[int] = mapped_column(Integer, default=0)
    # Requirements on the worker: bytes of a card's memory, and labels, sorted and joined by spaces.
    gpu_memory: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    worker_labels: Mapped[str] = mapped_column(String(300), default="", server_default="")
    # Number of cards, and the first digits of the commit that the worker must run; empty for any commit.
    gpus: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    pinned_commit: Mapped[str] = mapped_column(String(40), default="", server_default="")
    # The failed or cancelled job that this one repeats.
    retry_of: Mapped[str | None] = mapped_column(String(32))
    # The job whose spec was changed or repeated; it may have been deleted since.
    made_from: Mapped[str | None] = mapped_column(String(32), index=True)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    # Attempts that were lost or failed, without preempted ones; when they reach the budget the job fails.
    attempts_used: Mapped[int] = mapped_column(Integer, default=0)
    attempts_allowed: Mapped[int] = mapped_column(Integer, default=5)
    not_before: Mapped[datetime | None]
    lease_ends_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    reason: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    # A person's note.
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    # Hidden from every list since then; rows and files are deleted some days later.
    deleted_at: Mapped[datetime | None]

    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    iteration: Mapped[int] = mapped_column(Integer, default=0)
    commit_hash: Mapped[str | None] = mapped_column(String(40), index=True)
    latents_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    newest_sample_id: Mapped[int | None] = mapped_column(BigId)
    last_event_id: Mapped[int] = mapped_column(BigId, default=0)
    # Event batches up to this id are folded into curve chunks; later ones are the tail.
    folded_event_id: Mapped[int] = mapped_column(BigId, default=0)
    tail_batches: Mapped[int] = mapped_column(Integer, default=0)
    tail_points: Mapped[int] = mapped_column(Integer, default=0)


class Attempt(Base):
    """One worker's attempt at a job, and its provenance."""

    __tablename__ = "attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    worker: Mapped[str] = mapped_column(String(200))
    claimed_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    resumed_from: Mapped[int] = mapped_column(Integer, default=0)
    next_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    seed: Mapped[int] = mapped_column(BigInteger)
    # Hash of the token that may write for this attempt only; None where the service itself writes.
    token_sha256: Mapped[str | None] = mapped_column(String(64), unique=True)
    provenance: Mapped[dict[str, Any]] = mapped_column(JSON)


class EventBatch(Base):
    """Events that arrived together, as sent (zlib-compressed JSON); its id is the stream's event id.

    A batch that the service itself wrote, such as a change of state, has no first_seq.
    """

    __tablename__ = "event_batches"
    __table_args__ = (
        Index("ix_event_batches_job_id_id", "job_id", "id"),
        Index("uq_event_batches_job_id_attempt_first_seq", "job_id", "attempt", "first_seq", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int | None] = mapped_column(Integer)
    first_seq: Mapped[int | None] = mapped_column(BigInteger)
    last_seq: Mapped[int | None] = mapped_column(BigInteger)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class CurveChunk(Base):
    """Consecutive points of one metric, compressed by column; newer points are still in event batches."""

    __tablename__ = "curve_chunks"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    metric: Mapped[str] = mapped_column(MetricText, primary_key=True)
    first_iteration: Mapped[int] = mapped_column(Integer, primary_key=True)
    last_iteration: Mapped[int] = mapped_column(Integer)
    count: Mapped[int] = mapped_column(Integer)
    points: Mapped[bytes] = mapped_column(LargeBinary)
    # Lowest and highest value of a few equal parts, for the sparklines of the losses (`api.curves.points`).
    outline: Mapped[bytes | None] = mapped_column(LargeBinary)


class LatestValue(Base):
    """A metric's newest point, so that lists need no history. NaN and infinities are stored in `flag`."""

    __tablename__ = "latest_values"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    metric: Mapped[str] = mapped_column(MetricText, primary_key=True)
    iteration: Mapped[int] = mapped_column(Integer)
    value: Mapped[float | None] = mapped_column(Float)
    flag: Mapped[str | None] = mapped_column(String(4))


class Artifact(Base):
    """A stored file; its bytes are in the blob store under the sha256."""

    __tablename__ = "artifacts"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]


class Sample(Base):
    """One sample grid of a job's timeline."""

    __tablename__ = "samples"
    __table_args__ = (
        Index("uq_samples_job_id_iteration", "job_id", "iteration", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(Integer)
    iteration: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(ForeignKey("artifacts.sha256"), index=True)
    rows: Mapped[int] = mapped_column(Integer)
    columns: Mapped[int] = mapped_column(Integer)
    cell_width: Mapped[int] = mapped_column(Integer)
    cell_height: Mapped[int] = mapped_column(Integer)
    # Empty where the latents are not known.
    latents_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class NeighbourGrid(Base):
    """The training images nearest to one sample grid, laid out like it."""

    __tablename__ = "neighbour_grids"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    iteration: Mapped[int] = mapped_column(Integer, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(ForeignKey("artifacts.sha256"), index=True)
    rows: Mapped[int] = mapped_column(Integer)
    columns: Mapped[int] = mapped_column(Integer)
    cell_width: Mapped[int] = mapped_column(Integer)
    cell_height: Mapped[int] = mapped_column(Integer)
    latents_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class HistogramRow(Base):
    """One named distribution at one iteration; `counts` are its bins, compressed."""

    __tablename__ = "histograms"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(MetricText, primary_key=True)
    iteration: Mapped[int] = mapped_column(Integer, primary_key=True)
    low: Mapped[float] = mapped_column(Float)
    high: Mapped[float] = mapped_column(Float)
    not_finite: Mapped[int] = mapped_column(BigInteger)
    counts: Mapped[bytes] = mapped_column(LargeBinary)


class Checkpoint(Base):
    """A committed checkpoint; `stored` becomes false when its file is retired for newer ones."""

    __tablename__ = "checkpoints"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    iteration: Mapped[int] = mapped_column(Integer, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    stored: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime]


class RunFile(Base):
    """A file of a job under its name; its bytes are an artifact."""

    __tablename__ = "run_files"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(500), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    iteration: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(ForeignKey("artifacts.sha256"), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]


class LogLine(Base):
    """One log line of a job; `about` as in the event that reported it."""

    __tablename__ = "log_lines"
    __table_args__ = (Index("ix_log_lines_job_id_id", "job_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(Integer)
    iteration: Mapped[int] = mapped_column(Integer)
    level: Mapped[str] = mapped_column(String(8))
    text: Mapped[str] = mapped_column(Text)
    about: Mapped[str | None] = mapped_column(String(32))
    at: Mapped[datetime]


class FindingRow(Base):
    """A fault that a rule found, as it was last reported (`report_id`)."""

    __tablename__ = "findings"
    __table_args__ = (
        Index("uq_findings_job_id_rule_since", "job_id", "rule", "since", unique=True),
        Index("ix_findings_rule_id", "rule", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    rule: Mapped[str] = mapped_column(String(64))
    since: Mapped[int] = mapped_column(Integer)
    report_id: Mapped[int] = mapped_column(BigId)
    attempt: Mapped[int] = mapped_column(Integer)
    iteration: Mapped[int] = mapped_column(Integer)
    ended: Mapped[int | None] = mapped_column(Integer)
    severity: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)
    action: Mapped[str | None] = mapped_column(String(16))
    rolled_back_to: Mapped[int | None] = mapped_column(Integer)
    changes: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FindingReport(Base):
    """One report of a finding, so that an earlier one counts again when a job goes back to a checkpoint.

    `event`: the report as it was sent.
    """

    __tablename__ = "finding_reports"
    __table_args__ = (Index("ix_finding_reports_job_id_id", "job_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(Integer)
    rule: Mapped[str] = mapped_column(String(64))
    since: Mapped[int] = mapped_column(Integer)
    iteration: Mapped[int] = mapped_column(Integer)
    event: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]


class Delivery(Base):
    """A message to the webhook; tried at `due_at` until `done_at`: delivered, or given up if it has an error."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_done_at_due_at", "done_at", "due_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class Token(Base):
    """A token; its text is shown once and only its hash is stored. The row of a revoked token stays."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    scope: Mapped[str] = mapped_column(String(8))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class Login(Base):
    """A browser that logged in with a token; the cookie holds a secret, the row its hash."""

    __tablename__ = "logins"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    token_sha256: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Worker(Base):
    """A worker as it last described itself; it is alive while it keeps doing so."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    first_seen_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    device: Mapped[str] = mapped_column(String(200))
    gpus: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    # Number of cards that it may use.
    gpu_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    cpu: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    commit_hash: Mapped[str | None] = mapped_column(String(40))
    # Whether tracked files were changed since that commit.
    is_dirty: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    version: Mapped[str] = mapped_column(String(50))
    job_id: Mapped[str | None] = mapped_column(String(32))
    attempt: Mapped[int | None] = mapped_column(Integer)
