"""What runs used and made: datasets by name and digest, and logged models."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.mlflow.experiments import read_experiment_id
from api.mlflow.protocol.errors import invalid
from api.mlflow.protocol.names import check_length
from api.mlflow.protocol.requests import Fields
from api.mlflow.runs.rows import require_run
from api.server.database.engine import insert_into
from api.server.database.mlflow_tables import MlflowDataset, MlflowInput, MlflowModelLink, MlflowRun

_CONTEXT = "mlflow.data.context"
_MAX_DATASETS, _MAX_EXPERIMENTS, _MAX_SUMMARIES = 1000, 20, 1000
# MLflow 3.17, mlflow/utils/validation.py.
_LENGTHS = {"name": 500, "digest": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}


def log_inputs(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/log-inputs`: datasets, each once, and logged models."""
    run = require_run(session, fields.run_id(), active=True)
    given = fields.items("datasets")
    if len(given) > _MAX_DATASETS:
        raise invalid(f"A batch logging request can contain at most {_MAX_DATASETS} datasets.")
    experiment_id = session.get_one(MlflowRun, run.job_id).experiment_id
    for item in given:
        dataset = item.item("dataset")
        if dataset is None:
            raise invalid("Dataset input must have a dataset associated with it.")
        dataset_id = _put_dataset(session, experiment_id, dataset)
        tags = [{"key": key, "value": value} for key, value in item.pairs("tags")]
        context = next((tag["value"] for tag in tags if tag["key"] == _CONTEXT), None)
        row = {"job_id": run.job_id, "dataset_id": dataset_id, "context": context, "tags": tags}
        session.execute(insert_into(session, MlflowInput).values(row).on_conflict_do_nothing())
    _link_models(session, run.job_id, "input", fields.items("models"))
    return {}


def log_outputs(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `runs/outputs`: logged models that a run made, each at a step."""
    run = require_run(session, fields.run_id(), active=True)
    _link_models(session, run.job_id, "output", fields.items("models"))
    return {}


def search_datasets(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `experiments/search-datasets`: what the runs of experiments used."""
    ids = [read_experiment_id(text) for text in fields.texts("experiment_ids")]
    if not 0 < len(ids) <= _MAX_EXPERIMENTS:
        raise invalid(f"SearchDatasets request must specify 1 to {_MAX_EXPERIMENTS} experiment_ids.")
    columns = (MlflowDataset.experiment_id, MlflowDataset.name, MlflowDataset.digest, MlflowInput.context)
    query = select(*columns).distinct().join(MlflowInput, MlflowInput.dataset_id == MlflowDataset.id)
    rows = session.execute(query.where(MlflowDataset.experiment_id.in_(ids)).limit(_MAX_SUMMARIES))
    found = [
        {"experiment_id": str(row.experiment_id), "name": row.name, "digest": row.digest}
        | ({"context": row.context} if row.context is not None else {})
        for row in rows
    ]
    return {"dataset_summaries": found} if found else {}


def read_inputs(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return MLflow's form of the datasets that jobs used, by job."""
    query = select(MlflowInput, MlflowDataset).join(MlflowDataset, MlflowDataset.id == MlflowInput.dataset_id)
    found: dict[str, dict[str, Any]] = {}
    for row, dataset in session.execute(query.where(MlflowInput.job_id.in_(job_ids)).order_by(MlflowDataset.id)):
        tags = {"tags": row.tags} if row.tags else {}
        shown = tags | {"dataset": _show_dataset(dataset)}
        found.setdefault(row.job_id, {}).setdefault("dataset_inputs", []).append(shown)
    return found


def read_model_links(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return MLflow's form of the logged models that jobs used and made, by kind and job."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    query = select(MlflowModelLink).where(MlflowModelLink.job_id.in_(job_ids))
    for link in session.scalars(query.order_by(MlflowModelLink.step)):
        shown: dict[str, Any] = {"model_id": link.model_id}
        if link.kind == "output":
            shown["step"] = link.step
        found[link.kind].setdefault(link.job_id, {}).setdefault(f"model_{link.kind}s", []).append(shown)
    return found


def _put_dataset(session: Session, experiment_id: int, dataset: Fields) -> int:
    row: dict[str, Any] = {
        "experiment_id": experiment_id,
        "name": dataset.need("name"),
        "digest": dataset.need("digest"),
        "source_type": dataset.need("source_type"),
        "source": dataset.need("source"),
        "schema": dataset.text("schema"),
        "profile": dataset.text("profile"),
    }
    for name, most in _LENGTHS.items():
        check_length(name, most, row[name] or "")
    session.execute(insert_into(session, MlflowDataset).values(row).on_conflict_do_nothing())
    own = (
        MlflowDataset.experiment_id == experiment_id,
        MlflowDataset.name == row["name"],
        MlflowDataset.digest == row["digest"],
    )
    return session.scalars(select(MlflowDataset.id).where(*own)).one()


def _link_models(session: Session, job_id: str, kind: str, models: Sequence[Fields]) -> None:
    for model in models:
        row = {
            "job_id": job_id,
            "kind": kind,
            "model_id": model.need("model_id"),
            "step": model.integer("step") or 0,
        }
        check_length("model_id", 34, model.need("model_id"))
        session.execute(insert_into(session, MlflowModelLink).values(row).on_conflict_do_nothing())


def _show_dataset(row: MlflowDataset) -> dict[str, Any]:
    shown = {"name": row.name, "digest": row.digest, "source_type": row.source_type, "source": row.source}
    optional = {"schema": row.schema, "profile": row.profile}
    return shown | {name: value for name, value in optional.items() if value is not None}
