"""Jobs that are pinned to a commit or ask for several cards, and what workers say about both"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not as batches: the copy that SQLite would make of the jobs takes all that refers to them with it.
    op.add_column("jobs", sa.Column("gpus", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("pinned_commit", sa.String(length=40), nullable=False, server_default=""))
    op.add_column("workers", sa.Column("gpu_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("workers", sa.Column("is_dirty", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("workers", "is_dirty")
    op.drop_column("workers", "gpu_count")
    op.drop_column("jobs", "pinned_commit")
    op.drop_column("jobs", "gpus")
