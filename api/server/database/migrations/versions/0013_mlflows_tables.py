"""What MLflow's API keeps beside jobs: experiments, params, tags, datasets, files, models and their versions"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TABLES = (
    "mlflow_model_versions",
    "mlflow_registered_models",
    "mlflow_files",
    "mlflow_model_links",
    "mlflow_model_metrics",
    "mlflow_models",
    "mlflow_inputs",
    "mlflow_datasets",
    "mlflow_metrics",
    "mlflow_tags",
    "mlflow_params",
    "mlflow_runs",
    "mlflow_experiments",
)


def _text(name: str, *, optional: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=optional)


def _count(name: str, *, is_key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=is_key, autoincrement=False, nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _job(*, is_key: bool = True) -> sa.Column[str]:
    cascade = sa.ForeignKey("jobs.id", ondelete="CASCADE")
    return sa.Column("job_id", sa.String(32), cascade, primary_key=is_key, nullable=not is_key)


def _key() -> sa.Column[str]:
    return sa.Column("key", sa.String(250), primary_key=True)


def _experiment() -> sa.Column[int]:
    return sa.Column("experiment_id", BIG_ID, sa.ForeignKey("mlflow_experiments.id"), nullable=False)


def upgrade() -> None:
    _make_runs()
    _make_models()


def _make_runs() -> None:
    op.create_table(
        "mlflow_experiments",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(500), nullable=False),
        _flag("is_deleted"),
        _count("created_ms"),
        _count("updated_ms"),
        _json("tags"),
        sa.UniqueConstraint("name", name="uq_mlflow_experiments_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "mlflow_runs",
        _job(),
        sa.Column("run_uuid", sa.String(32), nullable=False),
        _experiment(),
        _text("name"),
        _text("user_id"),
        sa.Column("status", sa.String(16), nullable=False),
        _count("start_ms"),
        sa.Column("end_ms", sa.BigInteger),
        _text("timeline_key", optional=True),
        sa.UniqueConstraint("run_uuid", name="uq_mlflow_runs_run_uuid"),
    )
    op.create_index("ix_mlflow_runs_experiment_id_start_ms", "mlflow_runs", ["experiment_id", "start_ms"])
    op.create_table("mlflow_params", _job(), _key(), _text("value"))
    op.create_table("mlflow_tags", _job(), _key(), _text("value"))
    op.create_table(
        "mlflow_metrics",
        _job(),
        _key(),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("flag", sa.String(4)),
        _count("timestamp_ms"),
        _count("step"),
    )
    op.create_table(
        "mlflow_datasets",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        _experiment(),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("digest", sa.String(36), nullable=False),
        _text("source_type"),
        _text("source"),
        _text("schema", optional=True),
        _text("profile", optional=True),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_mlflow_datasets_experiment_id_name_digest",
        "mlflow_datasets",
        ["experiment_id", "name", "digest"],
        unique=True,
    )
    op.create_table(
        "mlflow_inputs",
        _job(),
        sa.Column(
            "dataset_id", BIG_ID, sa.ForeignKey("mlflow_datasets.id"), primary_key=True, autoincrement=False
        ),
        _text("context", optional=True),
        _json("tags"),
    )


def _make_models() -> None:
    op.create_table(
        "mlflow_models",
        sa.Column("id", sa.String(34), primary_key=True),
        _experiment(),
        _job(is_key=False),
        sa.Column("source_run_id", sa.String(32)),
        _text("name"),
        _text("model_type", optional=True),
        sa.Column("status", sa.String(32), nullable=False),
        _flag("is_deleted"),
        _count("created_ms"),
        _count("updated_ms"),
        _json("params"),
        _json("tags"),
    )
    op.create_index("ix_mlflow_models_experiment_id", "mlflow_models", ["experiment_id"])
    op.create_index("ix_mlflow_models_job_id", "mlflow_models", ["job_id"])
    op.create_table(
        "mlflow_model_metrics",
        sa.Column(
            "model_id", sa.String(34), sa.ForeignKey("mlflow_models.id", ondelete="CASCADE"), primary_key=True
        ),
        _key(),
        _count("timestamp_ms", is_key=True),
        _count("step", is_key=True),
        sa.Column("run_uuid", sa.String(32), primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("flag", sa.String(4)),
        _text("dataset_name", optional=True),
        _text("dataset_digest", optional=True),
    )
    op.create_table(
        "mlflow_model_links",
        _job(),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("model_id", sa.String(34), primary_key=True),
        _count("step"),
    )
    op.create_table(
        "mlflow_files",
        sa.Column("owner", sa.String(34), primary_key=True),
        sa.Column("name", sa.String(500), primary_key=True),
        _job(is_key=False),
        sa.Column("model_id", sa.String(34), sa.ForeignKey("mlflow_models.id", ondelete="CASCADE")),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("artifacts.sha256"), nullable=False),
        _count("size"),
    )
    for column in ("job_id", "model_id", "sha256"):
        op.create_index(f"ix_mlflow_files_{column}", "mlflow_files", [column])
    op.create_table(
        "mlflow_registered_models",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(256), nullable=False),
        _text("description", optional=True),
        _count("created_ms"),
        _count("updated_ms"),
        _json("tags"),
        _json("aliases"),
        sa.UniqueConstraint("name", name="uq_mlflow_registered_models_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "mlflow_model_versions",
        sa.Column(
            "registered_id",
            BIG_ID,
            sa.ForeignKey("mlflow_registered_models.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        _flag("is_deleted"),
        sa.Column("stage", sa.String(16), nullable=False),
        _text("description", optional=True),
        _text("source"),
        _text("storage_location"),
        _text("run_id", optional=True),
        _text("run_link", optional=True),
        sa.Column("model_id", sa.String(34)),
        _count("created_ms"),
        _count("updated_ms"),
        _json("tags"),
    )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
