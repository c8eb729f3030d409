"""What jobs ask of workers, and which job one repeats"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("gpu_memory", sa.BigInteger(), nullable=False, server_default="0"))
        jobs.add_column(sa.Column("worker_labels", sa.String(length=300), nullable=False, server_default=""))
        jobs.add_column(sa.Column("retry_of", sa.String(length=32), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("retry_of")
        jobs.drop_column("worker_labels")
        jobs.drop_column("gpu_memory")
