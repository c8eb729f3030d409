"""Charts of what was measured while a run trained: figures of samples, accuracies, classifier transfer."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from api.schemas import Curve
from dashboard.formats import show_count, show_number
from dashboard.views.chart import (
    HEIGHT,
    WIDTH,
    TickView,
    describe_beyond,
    draw_path,
    nice_ticks,
    tick_at,
    usual_range,
)

# Metrics that belong into one chart, each with its word; every other `eval/…` has a chart of its own.
TOGETHER: dict[str, dict[str, str]] = {
    "Classifier on the discriminator's layers": {
        "transfer/accuracy": "pretrained",
        "transfer/scratch_accuracy": "from scratch",
    },
    "Accuracy of the classes told": {
        "accuracy/labelled": "labelled, while training",
        "eval/test_accuracy": "test",
        "eval/validation_accuracy": "validation",
    },
}
# Names that are not simply their words.
_WORDS = {"frechet_distance": "Fréchet distance"}
# Said by another chart, or too many for one.
LEFT_OUT = re.compile(r"eval/(class_shares_\d+|\w+_errors)")
MAX_DOTS = 50


@dataclass(frozen=True)
class DotView:
    """One measured point, as percentages from the left and from the top."""

    x: str
    y: str


@dataclass(frozen=True)
class MeasureLine:
    """One metric: the number of its stroke, its word, its newest value, a path, and dots where they are few."""

    stroke: int
    word: str
    newest: str
    path: str
    dots: list[DotView]


@dataclass(frozen=True)
class MeasureChart:
    """Metrics of one axis over the iterations."""

    heading: str
    lines: list[MeasureLine]
    ticks: list[TickView]
    first_label: str
    last_label: str
    beyond: str
    summary: str
    view_box: str


def measured_metrics(names: Iterable[str]) -> list[str]:
    """Return those of a run's metrics that have a chart, in the order of the charts."""
    known = set(names)
    together = [name for chart in TOGETHER.values() for name in chart]
    alone = [name for name in sorted(known) if name.startswith("eval/") and not LEFT_OUT.fullmatch(name)]
    return [name for name in [*together, *(name for name in alone if name not in together)] if name in known]


def build_measures(curves: list[Curve], iterations: int) -> list[MeasureChart]:
    """Return the charts of a run's measured metrics, from iteration 0 to its last; none without a point."""
    by_name = {curve.name: curve for curve in curves if any(math.isfinite(value) for value in curve.values)}
    charts = {heading: words for heading, words in TOGETHER.items() if words.keys() & by_name.keys()}
    together = {name for words in TOGETHER.values() for name in words}
    for name in measured_metrics(by_name):
        if name not in together:
            charts[_say(name)] = {name: ""}
    return [_build_chart(heading, words, by_name, iterations) for heading, words in charts.items()]


def _build_chart(heading: str, words: dict[str, str], by_name: dict[str, Curve], iterations: int) -> MeasureChart:
    found = [(stroke, word, by_name[name]) for stroke, (name, word) in enumerate(words.items()) if name in by_name]
    values = [value for _, _, curve in found for value in curve.values if math.isfinite(value)]
    low, high = usual_range(values)
    return MeasureChart(
        heading=heading,
        lines=[
            MeasureLine(
                stroke,
                word,
                show_number(curve.values[-1]),
                draw_path(curve, iterations, low, high),
                _dots(curve, iterations, low, high),
            )
            for stroke, word, curve in found
        ],
        ticks=[tick_at(value, low, high) for value in nice_ticks(low, high)],
        first_label="0",
        last_label=show_count(iterations),
        beyond=describe_beyond(values, low, high),
        summary=_summary(heading, [(word, curve) for _, word, curve in found]),
        view_box=f"0 0 {WIDTH} {HEIGHT}",
    )


def _dots(curve: Curve, iterations: int, low: float, high: float) -> list[DotView]:
    points = [
        (iteration, min(max(value, low), high))
        for iteration, value in zip(curve.iterations, curve.values, strict=True)
        if math.isfinite(value)
    ]
    if len(points) > MAX_DOTS:
        return []
    return [
        DotView(f"{100 * iteration / iterations:.2f}%", f"{100 * (high - value) / (high - low):.2f}%")
        for iteration, value in points
    ]


def _say(name: str) -> str:
    """eval/classifier_score as Classifier score."""
    short = name.partition("/")[2]
    return _WORDS.get(short, short.replace("_", " ").capitalize())


def _summary(heading: str, found: list[tuple[str, Curve]]) -> str:
    """Return what the chart shows, in words."""
    parts = [
        f"{word + ': ' if word else ''}{show_number(curve.values[0])} at iteration "
        f"{show_count(curve.iterations[0])}, {show_number(curve.values[-1])} at iteration "
        f"{show_count(curve.iterations[-1])}"
        for word, curve in found
    ]
    return f"{heading} over the iterations. {'. '.join(parts)}."
