"""An index for every sort of the list of jobs, each ending in the id that decides between equals"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SORTED_BY = ("name", "state", "iteration", "iterations")


def upgrade() -> None:
    op.drop_index("ix_jobs_name", "jobs")
    for column in _SORTED_BY:
        op.create_index(f"ix_jobs_{column}_id", "jobs", [column, "id"])


def downgrade() -> None:
    for column in _SORTED_BY:
        op.drop_index(f"ix_jobs_{column}_id", "jobs")
    op.create_index("ix_jobs_name", "jobs", ["name"])
