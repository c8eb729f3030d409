"""What the page of compared runs reads from its address; what it does not understand it leaves out."""

import re
from typing import get_args

from starlette.datastructures import QueryParams

from dashboard.views.comparison import MIDDLE, Axis, Comparison, View
from ganlib.events import METRIC_NAME_PATTERN

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
