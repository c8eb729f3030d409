"""Runs that are not trained from a spec: their origin, their files, and metrics with longer names"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

METRIC_COLUMNS = (("curve_chunks", "metric"), ("latest_values", "metric"), ("histograms", "name"))


def upgrade() -> None:
    op.add_column("jobs", sa.Column("origin", sa.String(16), nullable=False, server_default="ganlib"))
    op.create_table(
        "run_files",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(500), primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("iteration", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("artifacts.sha256"), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_run_files_sha256", "run_files", ["sha256"])
    _set_metric_length(250)


def downgrade() -> None:
    op.drop_table("run_files")
    op.drop_column("jobs", "origin")
    _set_metric_length(100)


def _set_metric_length(length: int) -> None:
    # SQLite does not count the characters, and would copy whole tables.
    if op.get_bind().dialect.name == "sqlite":
        return
    for table, column in METRIC_COLUMNS:
        op.alter_column(table, column, type_=sa.String(length))
