"""Tokens, logins, the token of each attempt, and the workers that were heard of"""

import sqlalchemy as sa
from alembic import op

from api.server.database.base import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("sha256", name="uq_tokens_sha256"),
    )
    op.create_table(
        "logins",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_logins"),
    )
    op.create_index("ix_logins_token_sha256", "logins", ["token_sha256"])
    op.create_table(
        "workers",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("device", sa.String(length=200), nullable=False),
        sa.Column("gpus", sa.JSON(), nullable=False),
        sa.Column("commit_hash", sa.String(length=40), nullable=True),
        sa.Column("version", sa.String(length=50), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )
    op.create_index("ix_workers_seen_at", "workers", ["seen_at"])
    with op.batch_alter_table("attempts") as attempts:
        attempts.add_column(sa.Column("token_sha256", sa.String(length=64), nullable=True))
        attempts.create_unique_constraint("uq_attempts_token_sha256", ["token_sha256"])


def downgrade() -> None:
    with op.batch_alter_table("attempts") as attempts:
        attempts.drop_constraint("uq_attempts_token_sha256", type_="unique")
        attempts.drop_column("token_sha256")
    op.drop_table("workers")
    op.drop_table("logins")
    op.drop_table("tokens")
