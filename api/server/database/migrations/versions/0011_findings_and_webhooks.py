"""What rules found in runs, each with all its reports, and the messages about them to the webhook"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
AT = sa.DateTime(timezone=True)


def _job_id() -> sa.Column[str]:
    return sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "findings",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        _job_id(),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("report_id", BIG_ID, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("iteration", sa.Integer, nullable=False),
        sa.Column("ended", sa.Integer),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("action", sa.String(16)),
        sa.Column("rolled_back_to", sa.Integer),
        sa.Column("changes", sa.JSON, nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("updated_at", AT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_findings_job_id_rule_since", "findings", ["job_id", "rule", "since"], unique=True)
    op.create_index("ix_findings_rule_id", "findings", ["rule", "id"])
    op.create_table(
        "finding_reports",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        _job_id(),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("iteration", sa.Integer, nullable=False),
        sa.Column("event", sa.JSON, nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_finding_reports_job_id_id", "finding_reports", ["job_id", "id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        _job_id(),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("due_at", AT, nullable=False),
        sa.Column("done_at", AT),
        sa.UniqueConstraint("key", name="uq_webhook_deliveries_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_deliveries_job_id", "webhook_deliveries", ["job_id"])
    op.create_index("ix_webhook_deliveries_done_at_due_at", "webhook_deliveries", ["done_at", "due_at"])


def downgrade() -> None:
    for table in ("webhook_deliveries", "finding_reports", "findings"):
        op.drop_table(table)
