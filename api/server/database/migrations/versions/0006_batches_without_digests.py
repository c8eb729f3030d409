"""Event batches without digests: an event that comes again is compared with the stored one itself"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NO_BYTES = {"sqlite": "x''", "postgresql": "''"}


def upgrade() -> None:
    # Not as a batch: the copy that SQLite would get of the table could give an event id a second time.
    op.drop_column("event_batches", "digests")


def downgrade() -> None:
    nothing = sa.text(_NO_BYTES[op.get_bind().dialect.name])
    op.add_column("event_batches", sa.Column("digests", sa.LargeBinary(), nullable=False, server_default=nothing))
