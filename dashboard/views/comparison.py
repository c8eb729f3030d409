"""What a comparison is asked for: its address holds all of it, so that a view can be sent to somebody."""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

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
