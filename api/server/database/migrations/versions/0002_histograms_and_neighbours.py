"""Histograms, and grids of nearest training images"""

import sqlalchemy as sa
from alembic import op

from api.server.database.base import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "histograms",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("not_finite", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_histograms_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "name", "iteration", name="pk_histograms"),
    )
    op.create_table(
        "neighbour_grids",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("iteration", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("cell_width", sa.Integer(), nullable=False),
        sa.Column("cell_height", sa.Integer(), nullable=False),
        sa.Column("latents_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_neighbour_grids_job_id_jobs", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["sha256"], ["artifacts.sha256"], name="fk_neighbour_grids_sha256_artifacts"),
        sa.PrimaryKeyConstraint("job_id", "iteration", name="pk_neighbour_grids"),
    )
    op.create_index("ix_neighbour_grids_sha256", "neighbour_grids", ["sha256"])


def downgrade() -> None:
    op.drop_table("neighbour_grids")
    op.drop_table("histograms")
