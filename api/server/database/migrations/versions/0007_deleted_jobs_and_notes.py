"""Deleted jobs, notes, and outlines of the losses; the list's indexes hold what the list shows"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SORTED_BY = ("created_at", "name", "state", "iteration", "iterations")
_LISTED, _DELETED = sa.text("deleted_at IS NULL"), sa.text("deleted_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("note", sa.Text(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("curve_chunks", sa.Column("outline", sa.LargeBinary(), nullable=True))
    for column in _SORTED_BY:
        op.drop_index(f"ix_jobs_{column}_id", "jobs")
        name = f"ix_jobs_{column}_id"
        op.create_index(name, "jobs", [column, "id"], sqlite_where=_LISTED, postgresql_where=_LISTED)
    name = "ix_jobs_deleted_at"
    op.create_index(name, "jobs", ["deleted_at"], sqlite_where=_DELETED, postgresql_where=_DELETED)


def downgrade() -> None:
    op.drop_index("ix_jobs_deleted_at", "jobs")
    for column in _SORTED_BY:
        op.drop_index(f"ix_jobs_{column}_id", "jobs")
        op.create_index(f"ix_jobs_{column}_id", "jobs", [column, "id"])
    op.drop_column("curve_chunks", "outline")
    op.drop_column("jobs", "deleted_at")
    op.drop_column("jobs", "note")
