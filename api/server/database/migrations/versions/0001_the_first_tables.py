"""The first tables"""

import sqlalchemy as sa
from alembic import op

from api.server.database.base import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_artifacts"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("iterations", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=8), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("spec_sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempts_used", sa.Integer(), nullable=False),
        sa.Column("attempts_allowed", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("lease_ends_at", UtcDateTime(), nullable=True),
        sa.Column("cancel_requested_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.JSON(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("commit_hash", sa.String(length=40), nullable=True),
        sa.Column("latents_sha256", sa.String(length=64), nullable=True),
        sa.Column("newest_sample_id", BIG_ID, nullable=True),
        sa.Column("last_event_id", BIG_ID, nullable=False),
        sa.Column("folded_event_id", BIG_ID, nullable=False),
        sa.Column("tail_batches", sa.Integer(), nullable=False),
        sa.Column("tail_points", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("idempotency_key", name="uq_jobs_idempotency_key"),
    )
    op.create_index("ix_jobs_commit_hash", "jobs", ["commit_hash"])
    op.create_index("ix_jobs_claim_order", "jobs", ["state", "priority", "created_at"])
    op.create_index("ix_jobs_created_at_id", "jobs", ["created_at", "id"])
    op.create_index("ix_jobs_latents_sha256", "jobs", ["latents_sha256"])
    op.create_index("ix_jobs_name", "jobs", ["name"])
    op.create_index("ix_jobs_state_lease_ends_at", "jobs", ["state", "lease_ends_at"])
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("claimed_at", UtcDateTime(), nullable=False),
        sa.Column("heartbeat_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("end", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.JSON(), nullable=True),
        sa.Column("resumed_from", sa.Integer(), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_attempts_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "attempt", name="pk_attempts"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_checkpoints_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "iteration", name="pk_checkpoints"),
    )
    op.create_index("ix_checkpoints_sha256", "checkpoints", ["sha256"])
    op.create_table(
        "curve_chunks",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("metric", sa.String(length=100), nullable=False),
        sa.Column("first_iteration", sa.Integer(), nullable=False),
        sa.Column("last_iteration", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_curve_chunks_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "metric", "first_iteration", name="pk_curve_chunks"),
    )
    op.create_table(
        "event_batches",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("first_seq", sa.BigInteger(), nullable=True),
        sa.Column("last_seq", sa.BigInteger(), nullable=True),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_event_batches_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_event_batches"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_event_batches_job_id_id", "event_batches", ["job_id", "id"])
    op.create_index(
        "uq_event_batches_job_id_attempt_first_seq",
        "event_batches",
        ["job_id", "attempt", "first_seq"],
        unique=True,
    )
    op.create_table(
        "latest_values",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("metric", sa.String(length=100), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("flag", sa.String(length=4), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_latest_values_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "metric", name="pk_latest_values"),
    )
    op.create_table(
        "log_lines",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_log_lines_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_log_lines"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_log_lines_job_id_id", "log_lines", ["job_id", "id"])
    op.create_table(
        "samples",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("cell_width", sa.Integer(), nullable=False),
        sa.Column("cell_height", sa.Integer(), nullable=False),
        sa.Column("latents_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_samples_job_id_jobs", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sha256"], ["artifacts.sha256"], name="fk_samples_sha256_artifacts"),
        sa.PrimaryKeyConstraint("id", name="pk_samples"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_samples_sha256", "samples", ["sha256"])
    op.create_index("uq_samples_job_id_iteration", "samples", ["job_id", "iteration"], unique=True)


def downgrade() -> None:
    op.drop_table("samples")
    op.drop_table("log_lines")
    op.drop_table("latest_values")
    op.drop_table("event_batches")
    op.drop_table("curve_chunks")
    op.drop_table("checkpoints")
    op.drop_table("attempts")
    op.drop_table("jobs")
    op.drop_table("artifacts")
