"""Reads the address of a comparison; what is not understood is left out."""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from api.jobs.tables.groups import MOST_FIELDS
from dashboard.charts.chart import AXES, Axis
from ganlib.events import METRIC_NAME_PATTERN

View = Literal["grids", "wipe"]
VIEWS: tuple[View, ...] = get_args(View)
VIEW_WORDS: dict[View, str] = {"grids": "Side by side", "wipe": "Wipe between two"}
LEAST_RUNS, MOST_RUNS = 2, 10
MIDDLE = 50


@dataclass(frozen=True)
class Comparison:
    """Runs, a position on an axis (None: the last one that all have reached), metrics, and how grids are shown.

    at: iterations, images or seconds since each run's start. pair, split: the runs of the wipe, and how many per
    cent of the first are seen. baseline: the run that the others' numbers are compared with. group: fields of the
    spec by which curves are averaged. find: a search among the runs to choose from.
    """

    runs: tuple[str, ...] = ()
    axis: Axis = "iteration"
    at: float | None = None
    metrics: tuple[str, ...] = ()
    view: View = "grids"
    pair: tuple[str, ...] = ()
    split: int = MIDDLE
    baseline: str = ""
    group: tuple[str, ...] = ()
    find: str = ""

    def fields(self) -> list[tuple[str, str]]:
        """Return the fields of the address by name, without those that have their default."""
        return [
            *(("run", run) for run in self.runs),
            *([("axis", self.axis)] if self.axis != "iteration" else []),
            *([("at", write_position(self.at))] if self.at is not None else []),
            *(("metric", name) for name in self.metrics),
            *([("view", self.view)] if self.view != "grids" else []),
            *zip(("left", "right"), self.pair, strict=False),
            *([("split", str(self.split))] if self.split != MIDDLE else []),
            *([("baseline", self.baseline)] if self.baseline else []),
            *(("group", path) for path in self.group),
        ]

    def href(self, **changes: Any) -> str:
        """Return the address of the same with these changes."""
        return f"/compare?{urlencode(replace(self, **changes).fields(), safe='/')}"

    def kept(self, *names: str) -> list[tuple[str, str]]:
        """Return the fields that a form keeps while it asks for these itself."""
        return [(name, value) for name, value in self.fields() if name not in names]


def write_position(position: float) -> str:
    """Return a position on an axis as an address says it: 1000, or 12.5."""
    return f"{position:.1f}".removesuffix(".0")


MOST_NAMED = 100
# Of a run's name, which stands for its id.
MOST_LETTERS = 250
MAX_METRICS = 8
LARGEST_POSITION = 1e13
_METRIC = re.compile(METRIC_NAME_PATTERN)
_POSITION = re.compile(r"[0-9]{1,13}(\.[0-9]{1,6})?", re.ASCII)


def read_comparison(query: QueryParams) -> Comparison:
    """Return the comparison; its runs need not exist."""
    named = (run.replace("\0", "").strip()[:MOST_LETTERS] for run in query.getlist("run")[:MOST_NAMED])
    metrics = (name for name in query.getlist("metric") if _METRIC.fullmatch(name))
    return Comparison(
        runs=tuple(dict.fromkeys(run for run in named if run)),
        axis=next((axis for axis in AXES if axis == query.get("axis")), "iteration"),
        at=_read_position(query.get("at", "")),
        metrics=tuple(dict.fromkeys(metrics))[:MAX_METRICS],
        view=next((view for view in get_args(View) if view == query.get("view")), "grids"),
        pair=tuple(query.get(side, "")[:64] for side in ("left", "right") if query.get(side)),
        split=_read_split(query.get("split", "")),
        baseline=query.get("baseline", "").replace("\0", "").strip()[:64],
        group=_read_group(query),
        find=query.get("find", "").replace("\0", "").strip()[:1000],
    )


def _read_position(text: str) -> float | None:
    return min(float(text), LARGEST_POSITION) if _POSITION.fullmatch(text) else None


def _read_group(query: QueryParams) -> tuple[str, ...]:
    # A form has one field for all of them.
    named = (path.strip() for value in query.getlist("group") for path in value.replace("\0", "").split(","))
    return tuple(dict.fromkeys(path[:MOST_LETTERS] for path in named if path))[:MOST_FIELDS]


def _read_split(text: str) -> int:
    return min(int(text), 100) if text.isascii() and text.isdigit() and len(text) < 4 else MIDDLE
