"""Runs and curves as tables of pandas or polars, whichever is installed; neither comes with Ganvas."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from api.client.calls import curve_columns, get, read_answer
from api.client.transport import Call
from api.curves.points import Points
from api.errors import ServiceError

if TYPE_CHECKING:
    import httpx

Library = Literal["pandas", "polars"]
_TIMES = ("created_at", "started_at", "ended_at")
_TEXTS = ("id", "name", "state", "origin", "verdict", "verdict_text", "note", "commit", "reason", "url")
_NAMED_FLOATS = ("nan", "inf", "-inf")
_CURVE_COLUMNS = ("run", "name", "metric", "iteration", "value")
_Rows = list[dict[str, Any]]


class FramesNotInstalled(ServiceError):
    """Neither pandas nor polars is installed, or not the one that was asked for."""

    code: ClassVar[str] = "frames_not_installed"
    status: ClassVar[int] = 501
    message = "Frames need pandas or polars: pip install pandas, or pip install polars."


def frame(
    search: str = "",
    *,
    where: Sequence[str] = (),
    sort: str = "-created_at",
    limit: int | None = None,
    library: Library | None = None,
) -> Call[Any]:
    """Return runs as a data frame: a row each, every field of their specs and every newest metric a column.

    search: as in the dashboard's search box; where, sort: as in `list`. library: pandas or polars; without it
    pandas where both are installed. Columns are named as in `GET /jobs.csv`.

    >>> client.frame("mnist state:succeeded").plot.scatter("losses.generator", "eval/fid")  # doctest: +SKIP
    """
    chosen = choose_library(library)
    query = {"q": search or None, "where": [*where], "sort": sort, "limit": limit}
    rows = yield from read_answer("/jobs.jsonl", _read_lines, query)
    return build_frame(rows, chosen)


def curves_frame(
    job_ids: str | Iterable[str], *names: str, points: int | None = None, library: Library | None = None
) -> Call[Any]:
    """Return curves of several runs as one data frame with the columns run, name, metric, iteration and value.

    job_ids: ids or names. names, points: as in `curves`.

    >>> curves = client.curves_frame(["my-gan", "other"], "loss/generator")  # doctest: +SKIP
    >>> curves.pivot(index="iteration", columns="name", values="value").plot()  # doctest: +SKIP
    """
    chosen = choose_library(library)
    found: list[tuple[str, str, str, Points]] = []
    for given in [job_ids] if isinstance(job_ids, str) else job_ids:
        job = yield from get(given)
        columns = yield from curve_columns(job.id, *names, points=points)
        found += [(job.id, job.name, metric, curve) for metric, curve in columns.items()]
    return build_curves_frame(found, chosen)


def choose_library(library: Library | None) -> Any:
    """Return the module; raises FramesNotInstalled."""
    for name in get_args(Library) if library is None else (library,):
        if find_spec(name) is not None:
            return import_module(name)
    raise FramesNotInstalled(None if library is None else f"{library} is not installed: pip install {library}.")


def _read_lines(response: "httpx.Response") -> _Rows:
    return [json.loads(line) for line in response.content.splitlines()]


def build_frame(rows: _Rows, library: Any) -> Any:
    """Return rows as a frame: times are times, and a column of numbers and nan, inf or -inf is one of numbers."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: _convert(name, [row.get(name) for row in rows]) for name in names}
    if library.__name__ == "polars":
        return library.DataFrame({name: _unify(values) for name, values in columns.items()}, strict=False)
    return library.DataFrame(columns)


def _convert(name: str, values: list[Any]) -> list[Any]:
    if name in _TIMES:
        return [value and datetime.fromisoformat(value) for value in values]
    present = [value for value in values if value is not None]
    if name in _TEXTS or not all(_is_number(value) or value in _NAMED_FLOATS for value in present):
        return values
    return [float(value) if isinstance(value, str) else value for value in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unify(values: list[Any]) -> list[Any]:
    """Return the values as polars takes them, one kind a column: a mixture as JSON texts."""
    kinds = {float if _is_number(value) else type(value) for value in values if value is not None}
    if len(kinds) <= 1:
        return [float(value) if _is_number(value) else value for value in values] if _has_both(values) else values
    return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]


def _has_both(values: list[Any]) -> bool:
    return {int, float} <= {type(value) for value in values}


def build_curves_frame(curves: Sequence[tuple[str, str, str, Points]], library: Any) -> Any:
    """Return (run id, run name, metric, points) as one long frame."""
    if not curves:
        return library.DataFrame({column: [] for column in _CURVE_COLUMNS})
    if library.__name__ == "polars":
        parts = [
            library.DataFrame(
                {"iteration": list(points.iterations), "value": list(points.values)},
                schema={"iteration": library.Int64, "value": library.Float64},
            ).select(
                library.lit(run).alias("run"), library.lit(name).alias("name"),
                library.lit(metric).alias("metric"), "iteration", "value",
            )
            for run, name, metric, points in curves
        ]  # fmt: skip
        return library.concat(parts)
    parts = [
        library.DataFrame(
            {"iteration": list(points.iterations), "value": list(points.values)}, columns=["iteration", "value"]
        ).assign(run=run, name=name, metric=metric)[[*_CURVE_COLUMNS]]
        for run, name, metric, points in curves
    ]
    return library.concat(parts, ignore_index=True)
