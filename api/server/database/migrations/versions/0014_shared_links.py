"""Links that show one page to people without an account"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("runs", sa.JSON, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("made_by", sa.String(100), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.Column("revoked_at", AT),
        sa.UniqueConstraint("sha256", name="uq_shares_sha256"),
    )


def downgrade() -> None:
    op.drop_table("shares")
