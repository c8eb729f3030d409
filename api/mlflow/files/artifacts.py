"""Artifacts: names of stored files, as keys of a table. No name is ever joined to a path on disk.

An address is `EXPERIMENT/RUN/artifacts/NAME`, or `EXPERIMENT/models/MODEL/artifacts/NAME` for a logged model.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, or_, select
from sqlalchemy.orm import Session

from api.mlflow.files.pictures import forget_files
from api.mlflow.models.logged import find_model, model_uri
from api.mlflow.protocol.errors import MlflowError, invalid, missing
from api.mlflow.protocol.names import check_path
from api.mlflow.protocol.requests import Fields
from api.mlflow.runs.rows import require_run
from api.mlflow.runs.runs import artifact_uri
from api.server.database.engine import dialect_name, insert_for
from api.server.database.mlflow_tables import MlflowFile

_ADDRESS = re.compile(
    r"(?P<experiment>\d{1,18})/(?:(?P<run>[0-9a-f]{32})|models/(?P<model>m-[0-9a-f]{32}))/artifacts(?:/(?P<name>.+))?"
)

# Built once: see `api.attempts.leases`.
_TAKEN = (
    select(MlflowFile.name)
    .where(
        MlflowFile.owner == bindparam("of"),
        or_(
            MlflowFile.name.in_(bindparam("above", expanding=True)),
            func.substr(MlflowFile.name, 1, bindparam("length")) == bindparam("below"),
        ),
    )
    .limit(1)
)


@dataclass(frozen=True)
class Place:
    """The run or model that an address leads to, and the name in it; empty for all of its files."""

    owner: str
    name: str
    job_id: str | None = None
    model_id: str | None = None


def find_place(session: Session, address: str, *, writes: bool = False) -> Place:
    """Return the place that an address leads to; raises MlflowError. writes: and for a deleted run or model."""
    match = _ADDRESS.fullmatch(address.removesuffix("/"))
    if match is None:
        raise invalid(
            "Invalid path: artifacts belong to a run (EXPERIMENT/RUN/artifacts/…) or to a logged model "
            "(EXPERIMENT/models/MODEL/artifacts/…)."
        )
    experiment_id, name = int(match["experiment"]), check_path(match["name"]) if match["name"] else ""
    if match["model"]:
        model = find_model(session, match["model"])
        if model.experiment_id != experiment_id:
            raise missing(f"Logged model with ID '{model.id}' is not in experiment {experiment_id}.")
        return Place(model.id, name, model_id=model.id)
    run = require_run(session, match["run"], active=writes)
    if run.experiment_id != experiment_id:
        raise missing(f"Run with id={run.run_uuid} is not in experiment {experiment_id}")
    return Place(run.run_uuid, name, job_id=run.job_id)


def put_file(session: Session, place: Place, sha256: str, size: int) -> None:
    """Store a file under its name; a later one takes its place. Its blob is recorded already."""
    _check_free(session, place)
    row = {
        "owner": place.owner,
        "name": place.name,
        "job_id": place.job_id,
        "model_id": place.model_id,
        "sha256": sha256,
        "size": size,
    }
    session.connection().execute(_put(dialect_name(session)), row)


@cache
def _put(dialect: str) -> Any:
    insert = insert_for(dialect, MlflowFile)
    changed = {"sha256": insert.excluded.sha256, "size": insert.excluded.size}
    return insert.on_conflict_do_update(index_elements=["owner", "name"], set_=changed)


def find_file(session: Session, place: Place) -> MlflowFile:
    """Return the file of this name; raises MlflowError."""
    row = session.get(MlflowFile, (place.owner, place.name))
    if row is None:
        raise missing(f"No such artifact: '{place.name}'")
    return row


def list_files(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `mlflow-artifacts/artifacts`: the files and folders at an address."""
    place = find_place(session, fields.need("path"))
    return _show_files(_list(session, place.owner, place.name), "")


def list_run_files(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `artifacts/list`."""
    run = require_run(session, fields.run_id())
    folder = check_path(fields.text("path") or "").removesuffix("/") if fields.text("path") else ""
    shown = _show_files(_list(session, run.run_uuid, folder), folder)
    return {"root_uri": artifact_uri(run.experiment_id, run.run_uuid), **shown}


def list_model_files(session: Session, fields: Fields) -> dict[str, Any]:
    """Answer `logged-models/{model_id}/artifacts/directories`."""
    model, given = find_model(session, fields.need("model_id")), fields.text("artifact_directory_path")
    folder = check_path(given) if given else ""
    return {"root_uri": model_uri(model), **_show_files(_list(session, model.id, folder), folder)}


def delete_files(session: Session, place: Place) -> None:
    """Delete a file, or a folder with all in it; raises MlflowError where there is none.

    The bytes go with the next housekeeping, unless another run or model has the same.
    """
    own = delete(MlflowFile).where(MlflowFile.owner == place.owner, _is_below(place.name, itself=True))
    gone = session.execute(own.returning(MlflowFile.name, MlflowFile.sha256)).all()
    if not gone:
        raise missing(f"No such artifact: '{place.name}'")
    if place.job_id is not None:
        forget_files(session, place.job_id, {row.name: row.sha256 for row in gone})


def refuse_presigned(_: Session, __: Fields) -> dict[str, Any]:
    """Answer the call for an address in another store: every file goes through the service."""
    raise MlflowError("NOT_IMPLEMENTED", "Presigned upload is not supported for the current artifact repository")


def _list(session: Session, owner: str, folder: str) -> dict[str, int | None]:
    """Return the size of each file right in a folder by its name, None for a folder."""
    own = (MlflowFile.owner == owner, _is_below(folder))
    query = select(MlflowFile.name, MlflowFile.size).where(*own).order_by(MlflowFile.name)
    start = len(folder) + 1 if folder else 0
    found: dict[str, int | None] = {}
    for name, size in session.execute(query):
        first, is_deeper, _ = name[start:].partition("/")
        found[first] = None if is_deeper else size
    return dict(sorted(found.items()))


def _is_below(folder: str, *, itself: bool = False) -> ColumnElement[bool]:
    if not folder:
        return MlflowFile.name != ""
    # Not LIKE: SQLite's ignores case.
    below = func.substr(MlflowFile.name, 1, len(folder) + 1) == f"{folder}/"
    return or_(MlflowFile.name == folder, below) if itself else below


def _check_free(session: Session, place: Place) -> None:
    """Raise MlflowError for a file named like a folder, and the other way round: nobody could download both."""
    parts, below = place.name.split("/"), f"{place.name}/"
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    given = {"of": place.owner, "above": above, "below": below, "length": len(below)}
    name = session.connection().execute(_TAKEN, given).scalar_one_or_none()
    if name is not None:
        raise invalid(f"'{place.name}' cannot be stored: '{name}' is stored, and a file is no folder.")


def _show_files(found: dict[str, int | None], folder: str) -> dict[str, Any]:
    prefix = f"{folder}/" if folder else ""
    files = [
        {"path": prefix + name, "is_dir": size is None, **({} if size is None else {"file_size": size})}
        for name, size in found.items()
    ]
    return {"files": files} if files else {}
