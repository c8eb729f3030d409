"""What the page of compared runs reads from its address; what it does not understand it leaves out."""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from ganlib.events import METRIC_NAME_PATTERN

Axis = Literal["iteration", "images", "time"]
AXES: tuple[Axis, ...] = get_args(Axis)
AXIS_WORDS: dict[Axis, str] = {"iteration": "Iteration", "images": "Images seen", "time": "Time since the start"}
View = Literal["grids", "wipe"]
VIEWS: tuple[View, ...] = get_args(View)
VIEW_WORDS: dict[View, str] = {"grids": "Side by side", "wipe": "Wipe between two"}
LEAST_RUNS, MOST_RUNS = 2, 10
MIDDLE = 50


@dataclass(frozen=True)
class Comparison:
    """Runs, a place on an axis (None: the last one that all have reached), metrics, and how grids are shown.

    at: iterations, images or seconds since each run's start. pair, split: the runs of the wipe, and how many per
    cent of the first are seen.
    """

    runs: tuple[str, ...] = ()
    axis: Axis = "iteration"
    at: float | None = None
    metrics: tuple[str, ...] = ()
    view: View = "grids"
    pair: tuple[str, ...] = ()
    split: int = MIDDLE

    def fields(self) -> list[tuple[str, str]]:
        """Return what the address says, by name; what is as usual is left out."""
        return [
            *(("run", run) for run in self.runs),
            *([("axis", self.axis)] if self.axis != "iteration" else []),
            *([("at", write_place(self.at))] if self.at is not None else []),
            *(("metric", name) for name in self.metrics),
            *([("view", self.view)] if self.view != "grids" else []),
            *zip(("left", "right"), self.pair, strict=False),
            *([("split", str(self.split))] if self.split != MIDDLE else []),
        ]

    def href(self, **changes: Any) -> str:
        """Return the address of the same with these changes."""
        return f"/compare?{urlencode(replace(self, **changes).fields(), safe='/')}"

    def kept(self, *names: str) -> list[tuple[str, str]]:
        """Return what a form keeps that asks for these fields itself."""
        return [(name, value) for name, value in self.fields() if name not in names]


def write_place(place: float) -> str:
    """Return a place on an axis as an address says it: 1000, or 12.5."""
    return f"{place:.1f}".removesuffix(".0")


MOST_NAMED = 100
MAX_METRICS = 8
LARGEST_PLACE = 1e13
_METRIC = re.compile(METRIC_NAME_PATTERN)
_PLACE = re.compile(r"[0-9]{1,13}(\.[0-9]{1,6})?", re.ASCII)


def read_comparison(query: QueryParams) -> Comparison:
    """Return what is asked for; runs that there are not are still among its runs."""
    named = (run.replace("\0", "").strip()[:64] for run in query.getlist("run")[:MOST_NAMED])
    metrics = (name for name in query.getlist("metric") if _METRIC.fullmatch(name))
    return Comparison(
        runs=tuple(dict.fromkeys(run for run in named if run)),
        axis=next((axis for axis in get_args(Axis) if axis == query.get("axis")), "iteration"),
        at=_read_place(query.get("at", "")),
        metrics=tuple(dict.fromkeys(metrics))[:MAX_METRICS],
        view=next((view for view in get_args(View) if view == query.get("view")), "grids"),
        pair=tuple(query.get(side, "")[:64] for side in ("left", "right") if query.get(side)),
        split=_read_split(query.get("split", "")),
    )


def _read_place(text: str) -> float | None:
    return min(float(text), LARGEST_PLACE) if _PLACE.fullmatch(text) else None


def _read_split(text: str) -> int:
    return min(int(text), 100) if text.isascii() and text.isdigit() and len(text) < 4 else MIDDLE
