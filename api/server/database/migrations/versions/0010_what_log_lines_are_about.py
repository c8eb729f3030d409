"""Log lines that a page repeats beside the numbers that they are about"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# How trainers began the line before its event had a field for that.
EARLIER = "The eval figures are of "


def upgrade() -> None:
    op.add_column("log_lines", sa.Column("about", sa.String(length=32)))
    lines = sa.table("log_lines", sa.column("text"), sa.column("about"))
    op.execute(sa.update(lines).where(lines.c.text.startswith(EARLIER)).values(about="evaluation"))


def downgrade() -> None:
    op.drop_column("log_lines", "about")
