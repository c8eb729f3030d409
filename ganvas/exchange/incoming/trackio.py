"""Runs of trackio: one SQLite database for each project, or the Parquet files that a Space keeps of it."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ganvas.exchange.incoming.media import Folder, read_histogram, to_number
from ganvas.exchange.records import (
    Attachment,
    Distribution,
    Line,
    Losses,
    Pictures,
    Points,
    Record,
    SourceRun,
    SourceUnreadable,
)

_HEAD = b"SQLite format 3\0"
_LEVELS: dict[str, Literal["info", "warning", "error"]] = {"warn": "warning", "error": "error"}
# What trackio adds to a configuration itself.
_OWN = ("_Username", "_Created", "_Group")
_TABLES = ("metrics", "configs")


def is_source(path: Path) -> bool:
    """Return whether this is trackio's database, or a folder with one in it."""
    return next(_list_projects(path), None) is not None


def find_runs(path: Path) -> Iterator[SourceRun]:
    """Yield the runs of a project's database or of trackio's folder; raises SourceUnreadable."""
    found = False
    for project in _list_projects(path):
        for run in _list_runs(project):
            found = True
            yield run
    if not found:
        raise SourceUnreadable(
            f"{path} has no database of trackio with runs in it; it is ~/.cache/huggingface/trackio/PROJECT.db."
        )


@dataclass(frozen=True)
class Project:
    """One project: a database, or the Parquet file of its metrics."""

    path: Path

    @property
    def name(self) -> str:
        """The project's name, which is the file's."""
        return self.path.stem

    def rows(self, table: str, run: dict[str, Any] | None, losses: Losses) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table, of one run or all, in the order in which they were written."""
        rows = (
            _read_sqlite(self.path, table, run) if self.path.suffix == ".db" else _read_parquet(self.path, table)
        )
        try:
            for row in rows:
                if run is None or all(row.get(name) == value for name, value in run.items()):
                    yield row
        except (sqlite3.DatabaseError, OSError, ValueError) as error:
            losses.add(f"rests of the table {table}", f"{self.path.name}: {error}")


def _list_projects(path: Path) -> Iterator[Project]:
    if path.is_file():
        candidates = [path]
    elif path.is_dir():
        candidates = [*sorted(path.glob("*.db")), *sorted(path.glob("*.parquet"))]
    else:
        candidates = []
    databases = {file.stem for file in candidates if file.suffix == ".db"}
    for file in candidates:
        is_beside = file.suffix == ".parquet" and (file.stem in databases or not _is_metrics_file(file))
        if not is_beside and (file.suffix == ".parquet" or _is_database(file)):
            yield Project(file)


def _is_metrics_file(file: Path) -> bool:
    # metrics.parquet, or PROJECT.parquet with PROJECT_configs.parquet beside it.
    return file.suffix == ".parquet" and _beside(file, "configs").is_file()


def _beside(file: Path, table: str) -> Path:
    ending = {"configs": "_configs", "system_metrics": "_system", "traces": "_traces"}[table]
    return file.with_name(f"{file.stem}{ending}.parquet")


def _is_database(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            if opened.read(16) != _HEAD:
                return False
        with closing(connect(file)) as connection:
            found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            columns = {row[1] for row in connection.execute("PRAGMA table_info(metrics)")}
    except (OSError, sqlite3.DatabaseError, UnicodeDecodeError):
        return False
    return found.issuperset(_TABLES) and "metrics" in columns


def connect(file: Path) -> sqlite3.Connection:
    """Open a database for reading alone; one in a folder that cannot be written is taken as it lies."""
    uri = file.resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True)
    connection.text_factory = lambda text: text.decode(errors="replace")
    try:
        connection.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        connection = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True)
        connection.text_factory = lambda text: text.decode(errors="replace")
    except UnicodeDecodeError as error:
        # SQLite's own words quote what is damaged.
        connection.close()
        raise sqlite3.DatabaseError("its schema is damaged") from error
    return connection


def _read_sqlite(file: Path, table: str, run: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    with closing(connect(file)) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        if not columns:
            return
        names = [name for name in run or {} if name in columns]
        # Names of our own, never a source's.
        where = f"WHERE {' AND '.join(f'{name} IS ?' for name in names)}" if names else ""
        query = f"SELECT * FROM {table} {where} ORDER BY rowid"  # noqa: S608
        for row in connection.execute(query, [(run or {})[name] for name in names]):
            yield _unpack(dict(zip(columns, row, strict=True)))


def _unpack(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its JSON column read; a damaged one becomes None."""
    for name in ("metrics", "config"):
        if name in row:
            try:
                row[name] = json.loads(row[name])
            except (ValueError, TypeError):
                row[name] = None
    return row


def _read_parquet(file: Path, table: str) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise SourceUnreadable(
            "Reading trackio's Parquet files needs pyarrow: pip install 'ganvas[exchange]'"
        ) from None
    path = file if table == "metrics" else _beside(file, table) if table != "alerts" else None
    if path is None or not path.is_file():
        return
    own = {"id", "run_id", "timestamp", "run_name", "step", "log_id", "space_id", "created_at"}
    column = "config" if table == "configs" else "metrics"
    for batch in parquet.ParquetFile(path).iter_batches():
        for row in batch.to_pylist():
            # A value that a row lacks is null in its column.
            inner = {name: value for name, value in row.items() if name not in own and value is not None}
            yield {name: row.get(name) for name in own if name in row} | {column: inner}


@dataclass
class _Found:
    """One run of a project, as a first look finds it."""

    columns: dict[str, Any]
    image_tags: dict[str, None] = field(default_factory=dict)
    first_at: float | None = None
    last_at: float | None = None
    config: dict[str, Any] = field(default_factory=dict)


def _list_runs(project: Project) -> Iterator[SourceRun]:
    runs: dict[str, _Found] = {}
    losses = Losses()
    for table in ("configs", "metrics"):
        for row in project.rows(table, None, losses):
            # Databases of older versions know runs by name alone.
            columns = {name: row[name] for name in ("run_id", "run_name") if row.get(name) is not None}
            name = str(columns.get("run_id") or columns.get("run_name"))
            found = runs.setdefault(
                name, _Found({"run_id": columns["run_id"]} if columns.get("run_id") else columns)
            )
            found.columns.setdefault("run_name", columns.get("run_name"))
            if table == "configs":
                found.config = row["config"] if isinstance(row["config"], dict) else {}
                continue
            at = _seconds(row.get("timestamp"))
            found.first_at, found.last_at = found.first_at or at, at or found.last_at
            _note_images(found, row["metrics"])
    for key, found in runs.items():
        yield _describe(project, key, found)


def _note_images(found: _Found, metrics: Any) -> None:
    for name, value in metrics.items() if isinstance(metrics, dict) else ():
        values = value if isinstance(value, list) else [value]
        if any(isinstance(each, dict) and each.get("_type") == "trackio.image" for each in values):
            found.image_tags[name] = None


def _describe(project: Project, key: str, found: _Found) -> SourceRun:
    created = _seconds(found.config.get("_Created"))
    group = found.config.get("_Group")
    selected = {
        name: value for name, value in found.columns.items() if name == "run_id" or "run_id" not in found.columns
    }
    return SourceRun(
        origin="trackio",
        identity=f"{project.name}\0{key}".encode(),
        name=str(found.columns.get("run_name") or key),
        source=f"{project.path.resolve()}#{key}",
        read=lambda losses: _read(project, selected, losses),
        config={name: value for name, value in found.config.items() if name not in _OWN},
        tags=[project.name, *([group] if isinstance(group, str) else [])],
        image_tags=list(found.image_tags),
        started_at=created or found.first_at,
        ended_at=found.last_at,
        reason="trackio does not record how a run ended.",
    )


def _read(project: Project, run: dict[str, Any], losses: Losses) -> Iterator[Record]:
    media = Folder(project.path.parent / "media")
    steps: list[tuple[float, int]] = []
    for row in project.rows("metrics", run, losses):
        at, step = _seconds(row.get("timestamp")), row.get("step")
        if not isinstance(step, int) or not isinstance(row["metrics"], dict):
            losses.add("rows that cannot be read", f"{project.path.name}, row {row.get('id')}")
            continue
        steps.append((at or 0.0, step))
        yield from _read_row(row["metrics"], step, at, media, losses)
    for row in project.rows("system_metrics", run, losses):
        at = _seconds(row.get("timestamp"))
        values = _numbers(row["metrics"])
        if values:
            yield Points(_step_at(steps, at), {f"system/{name}": value for name, value in values.items()}, at)
    for row in project.rows("alerts", run, losses):
        at, step = _seconds(row.get("timestamp")), row.get("step")
        text = f"{row.get('title', '')}: {row['text']}" if row.get("text") else str(row.get("title", ""))
        level = _LEVELS.get(str(row.get("level")), "info")
        yield Line(step if isinstance(step, int) else _step_at(steps, at), text, at, level)


def _numbers(metrics: Any) -> dict[str, float]:
    given = metrics.items() if isinstance(metrics, dict) else ()
    return {name: number for name, value in given if (number := to_number(value)) is not None}


def _step_at(steps: Sequence[tuple[float, int]], at: float | None) -> int:
    """Return the last step that was logged before a moment."""
    return next((step for logged, step in reversed(steps) if at is None or logged <= at), 0)


def _read_row(
    metrics: dict[str, Any], step: int, at: float | None, media: Folder, losses: Losses
) -> Iterator[Record]:
    numbers = _numbers(metrics)
    if numbers:
        yield Points(step, numbers, at)
    for name, value in metrics.items():
        if name in numbers or value is None:
            continue
        where = f"{name} at step {step}"
        values = value if isinstance(value, list) else [value]
        kinds = {each.get("_type") if isinstance(each, dict) else type(each).__name__ for each in values}
        if kinds == {"trackio.image"}:
            images = [content for each in values if (content := media.read(each.get("file_path"), where, losses))]
            if images:
                yield Pictures(name, step, tuple(images), at)
        elif kinds == {"str"} and isinstance(value, str):
            yield Line(step, f"{name}: {value}", at)
        else:
            yield from _read_other(name, values, step, at, media, losses)


def _read_other(
    name: str, values: Sequence[Any], step: int, at: float | None, media: Folder, losses: Losses
) -> Iterator[Record]:
    for value in values:
        kind = value.get("_type") if isinstance(value, dict) else None
        where = f"{name} at step {step}"
        if kind == "trackio.histogram":
            histogram = read_histogram(value)
            if histogram is not None:
                yield Distribution(name, step, histogram, at)
            else:
                losses.add("histograms that cannot be read", where)
        elif kind == "trackio.markdown":
            yield Line(step, f"{name}: {value.get('_value', '')}", at)
        elif kind == "trackio.table":
            content = json.dumps(value.get("_value"), ensure_ascii=False).encode()
            yield Attachment(f"tables/{name}/{step:08d}.json", step, content, "application/json", at)
        elif kind is not None and value.get("file_path"):
            if (file := media.find(value["file_path"], where, losses)) is not None:
                yield Attachment(f"media/{name}/{step:08d}{file.suffix}", step, file, at=at)
        else:
            losses.add("values that are neither numbers nor texts nor media", where)


def _seconds(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
