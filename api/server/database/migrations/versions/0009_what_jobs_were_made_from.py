"""From which job another one was made"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not as a batch: the copy that SQLite would make of the jobs takes all that refers to them with it.
    op.add_column("jobs", sa.Column("made_from", sa.String(length=32), nullable=True))
    op.create_index("ix_jobs_made_from", "jobs", ["made_from"])
    # Until now only retries were known.
    op.execute("UPDATE jobs SET made_from = retry_of WHERE retry_of IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_jobs_made_from", "jobs")
    op.drop_column("jobs", "made_from")
