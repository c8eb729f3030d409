"""Runs of MLflow on disk: a file store (`mlruns`), or the SQLite database that newer versions write by default."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from ganvas.exchange.incoming.media import Folder
from ganvas.exchange.incoming.mlflow_run import Metric, MlflowRun, describe_run, restore_infinity
from ganvas.exchange.incoming.trackio import connect
from ganvas.exchange.records import Losses, SourceRun, SourceUnreadable

_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_TABLES = {"experiments", "runs", "metrics", "params", "tags"}


def is_source(path: Path) -> bool:
    """Return whether this is a file store or a database of MLflow, or a part or the parent of one."""
    return next(_list_run_folders(path), None) is not None or next(_list_databases(path), None) is not None


def find_runs(path: Path) -> Iterator[SourceRun]:
    """Yield the runs of a store, one of its experiments or runs, or a database; raises SourceUnreadable."""
    found = False
    for folder in _list_run_folders(path):
        found = True
        yield describe_run(_open_folder(folder))
    for database in _list_databases(path):
        for run in _list_stored(database):
            found = True
            yield describe_run(run)
    if not found:
        raise SourceUnreadable(f"{path} has no runs of MLflow in it; name the folder `mlruns`, or mlflow.db.")


def _list_run_folders(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        return
    for depth in ("", "*/", "*/*/", "*/*/*/"):
        for meta in sorted(path.glob(f"{depth}meta.yaml")):
            # Experiments have such a file as well, and deleted runs lie in .trash.
            if (meta.parent / "metrics").is_dir() and ".trash" not in meta.parts:
                yield meta.parent


def _open_folder(folder: Path) -> MlflowRun:
    meta = _read_yaml(folder / "meta.yaml")
    experiment = _read_yaml(folder.parent / "meta.yaml")
    artifacts = Folder(folder / "artifacts")
    status = meta.get("status")
    return MlflowRun(
        run_id=str(meta.get("run_id") or meta.get("run_uuid") or folder.name),
        name=str(meta.get("run_name") or ""),
        experiment=str(experiment.get("name") or folder.parent.name),
        status=_STATUS.get(status, "FINISHED") if isinstance(status, int) else str(status or "FINISHED"),
        start_time=_milliseconds(meta.get("start_time")),
        end_time=_milliseconds(meta.get("end_time")),
        source=str(folder.resolve()),
        read_metrics=lambda losses: _read_metric_files(folder / "metrics", losses),
        artifacts=_list_files(folder / "artifacts"),
        open_artifact=lambda path, losses: artifacts.find(path, "artifact", losses),
        params=_read_texts(folder / "params"),
        tags=_read_texts(folder / "tags"),
    )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _milliseconds(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and value > 0 else None


def _list_files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def _read_texts(folder: Path) -> dict[str, str]:
    # A key with slashes is a path.
    return {name: (folder / name).read_text(encoding="utf-8", errors="replace") for name in _list_files(folder)}


def _read_metric_files(folder: Path, losses: Losses) -> Iterator[Metric]:
    for name in _list_files(folder):
        with (folder / name).open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                # Timestamp, value, step, and in newer versions a data set.
                parts = line.split()
                try:
                    step = int(parts[2]) if len(parts) > 2 else 0
                    yield Metric(name, float(parts[1]), int(parts[0]), step)
                except (ValueError, IndexError):
                    if parts:
                        losses.add("lines of metrics that cannot be read", f"{name}, line {number}")


def _list_databases(path: Path) -> Iterator[Path]:
    candidates = [path] if path.is_file() else sorted(path.glob("*.db")) if path.is_dir() else []
    for file in candidates:
        try:
            with file.open("rb") as opened:
                if opened.read(15) != b"SQLite format 3":
                    continue
            with closing(connect(file)) as connection:
                query = "SELECT name FROM sqlite_master WHERE type = 'table'"
                if {name for (name,) in connection.execute(query)}.issuperset(_TABLES):
                    yield file
        except (OSError, sqlite3.DatabaseError, UnicodeDecodeError):
            continue


def _list_stored(database: Path) -> Iterator[MlflowRun]:
    query = (
        "SELECT run_uuid, runs.name, experiments.name, status, start_time, end_time, artifact_uri, experiment_id"
        " FROM runs JOIN experiments USING (experiment_id)"
        " WHERE runs.lifecycle_stage = 'active' ORDER BY start_time, run_uuid"
    )
    try:
        with closing(connect(database)) as connection:
            rows = connection.execute(query).fetchall()
            params = _read_pairs(connection, "params")
            tags = _read_pairs(connection, "tags")
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise SourceUnreadable(f"{database} cannot be read: {error}") from error
    for run_id, name, experiment, status, start, end, address, experiment_id in rows:
        folder = _find_artifacts(database, run_id, experiment_id, address or "")
        files = Folder(folder) if folder is not None else None
        yield MlflowRun(
            run_id=run_id,
            name=name or "",
            experiment=experiment,
            status=status or "FINISHED",
            start_time=start,
            end_time=end,
            source=f"{database.resolve()}#{run_id}",
            read_metrics=partial(_read_metric_rows, database, run_id),
            artifacts=_list_files(folder) if folder is not None else [],
            open_artifact=partial(_find_file, files),
            params=params.get(run_id, {}),
            tags=tags.get(run_id, {}),
        )


def _find_file(files: Folder | None, path: str, losses: Losses) -> Path | None:
    return None if files is None else files.find(path, "artifact", losses)


def _read_pairs(connection: sqlite3.Connection, table: str) -> dict[str, dict[str, str]]:
    pairs: dict[str, dict[str, str]] = {}
    # The table's name is ours.
    for run_id, key, value in connection.execute(f"SELECT run_uuid, key, value FROM {table} ORDER BY key"):  # noqa: S608
        pairs.setdefault(run_id, {})[key] = value or ""
    return pairs


def _read_metric_rows(database: Path, run_id: str, losses: Losses) -> Iterable[Metric]:
    query = (
        "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY timestamp, step, key"
    )
    with closing(connect(database)) as connection:
        try:
            for key, value, timestamp, step, is_nan in connection.execute(query, [run_id]):
                yield Metric(key, float("nan") if is_nan else restore_infinity(value), timestamp, step)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            losses.add("rests of the table metrics", f"{database.name}: {error}")


def _find_artifacts(database: Path, run_id: str, experiment_id: int, address: str) -> Path | None:
    """Return the local folder of a run's artifacts: where the database says, or beside a database that was moved.

    Only a folder that is called by the run's id is taken, so that a database cannot have any other folder read.
    """
    inner = Path(str(experiment_id), run_id, "artifacts")
    candidates = [database.parent / name / inner for name in ("mlruns", "mlartifacts")]
    parts = urlsplit(address)
    if parts.scheme in ("", "file"):
        named = Path(unquote(parts.path))
        if named.name == "artifacts" and named.parent.name == run_id:
            candidates.insert(0, named)
    return next((folder for folder in candidates if folder.is_dir()), None)
