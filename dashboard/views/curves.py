"""Charts of a run's curves: each complete as the server draws it, and made live by <curve-chart>."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from api.schemas import AttemptRead, Curve, JobRead
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
from dashboard.views.common import DISCRIMINATOR_LOSS, GENERATOR_LOSS, Figure, figure_of
from dashboard.views.waiting import ENDS

# Whose hue a curve has; every other one is told apart by its dashes.
PLAYERS = {
    GENERATOR_LOSS: "generator",
    DISCRIMINATOR_LOSS: "discriminator",
    "logits/fake": "generator",
    "logits/real": "discriminator",
}
LOSS_WORDS = {GENERATOR_LOSS: "Generator", DISCRIMINATOR_LOSS: "Discriminator"}
STROKES = 8
MAX_DOTS = 50
MAX_CHOSEN = 20
# How many stretches a script asks for: about one for each two pixels.
WIDE_POINTS, NARROW_POINTS = 500, 160


@dataclass(frozen=True)
class DotView:
    """One point, as percentages from the left and from the top."""

    x: str
    y: str


@dataclass(frozen=True)
class LineView:
    """One curve: its metric and word, the class that it is drawn by, its path, and its value at the cursor."""

    metric: str
    word: str
    style: str
    path: str
    value: Figure
    dots: list[DotView]


@dataclass(frozen=True)
class AttemptMark:
    """Where an attempt went on, and why the one before had ended."""

    iteration: int
    text: str


@dataclass(frozen=True)
class ChoiceView:
    """A metric that can be chosen; `player` has a hue of its own, or is empty."""

    metric: str
    is_chosen: bool
    player: str


@dataclass(frozen=True)
class CurveChart:
    """Curves of one axis; `cursor` is the selected iteration's place as a percentage, or empty."""

    heading: str
    lines: list[LineView]
    ticks: list[TickView]
    iterations: int
    first_label: str
    last_label: str
    cursor: str
    at: str
    beyond: str
    summary: str
    view_box: str
    metrics_url: str
    points: int


@dataclass(frozen=True)
class Axis:
    """What the charts of a page share: the run, its length, and the iteration that is selected."""

    job_id: str
    iterations: int
    cursor: int | None = None


def build_curve_chart(
    heading: str, words: Mapping[str, str], curves: Iterable[Curve], axis: Axis, points: int
) -> CurveChart:
    """Return the chart of these metrics, each with its word, from iteration 0 to the run's last."""
    by_name = {curve.name: curve for curve in curves}
    found = [(metric, word, by_name.get(metric)) for metric, word in words.items()]
    values = [v for _, _, curve in found if curve for v in curve.values if math.isfinite(v)]
    low, high = usual_range(values)
    styles = _choose_styles(list(words))
    return CurveChart(
        heading=heading,
        lines=[
            LineView(
                metric,
                word,
                styles[metric],
                draw_path(curve, axis.iterations, low, high),
                figure_of(_value_at(curve, axis.cursor)),
                _dots(curve, axis.iterations, low, high),
            )
            for metric, word, curve in found
        ],
        ticks=[tick_at(value, low, high) for value in nice_ticks(low, high)],
        iterations=axis.iterations,
        first_label="0",
        last_label=show_count(axis.iterations),
        cursor=f"{100 * axis.cursor / axis.iterations:.2f}%" if axis.cursor is not None else "",
        at=f"at iteration {show_count(axis.cursor)}" if axis.cursor is not None else "newest",
        beyond=describe_beyond(values, low, high),
        summary=_summary(heading, [(word, curve) for _, word, curve in found]),
        view_box=f"0 0 {WIDTH} {HEIGHT}",
        metrics_url=f"/jobs/{axis.job_id}/metrics",
        points=points,
    )


def choose_words(chosen: Sequence[str], known: Iterable[str]) -> dict[str, str]:
    """Return the metrics of the large chart with their words: those that were chosen and exist, or both losses."""
    metrics = [name for name in dict.fromkeys(chosen) if name in set(known)][:MAX_CHOSEN]
    return {name: LOSS_WORDS.get(name, name) for name in metrics} or dict(LOSS_WORDS)


def build_choices(known: Iterable[str], chosen: Iterable[str]) -> list[tuple[str, list[ChoiceView]]]:
    """Return every metric of a run by its group, such as loss or eval, and which are chosen."""
    groups: dict[str, list[ChoiceView]] = {}
    for name in sorted(known):
        choice = ChoiceView(name, name in set(chosen), PLAYERS.get(name, ""))
        groups.setdefault(name.partition("/")[0], []).append(choice)
    return list(groups.items())


def build_attempt_marks(job: JobRead) -> list[AttemptMark]:
    """Return where attempts went on, in words."""
    return [
        AttemptMark(
            later.resumed_from,
            f"Attempt {later.attempt} went on from iteration {show_count(later.resumed_from)}: {_why(earlier)}",
        )
        for earlier, later in zip(job.attempts, job.attempts[1:], strict=False)
    ]


def _why(attempt: AttemptRead) -> str:
    """Return why an attempt ended that was not the last."""
    if attempt.reason:
        return attempt.reason.message.splitlines()[0][:200] if attempt.reason.message else attempt.reason.code
    return f"{ENDS.get(attempt.end or '', 'the one before had ended')}."


def _choose_styles(metrics: list[str]) -> dict[str, str]:
    """Return each metric's class: its player's hue, once, or a stroke of its own."""
    styles: dict[str, str] = {}
    for metric in metrics:
        style = f"player-{PLAYERS.get(metric, '')}"
        if metric not in PLAYERS or style in styles.values():
            taken = sum(given.startswith("stroke-") for given in styles.values())
            style = f"stroke-{taken % STROKES}"
        styles[metric] = style
    return styles


def _value_at(curve: Curve | None, cursor: int | None) -> float | None:
    """Return the curve's value at the last point that is not after the cursor, the newest without a cursor."""
    if not curve or not curve.iterations:
        return None
    if cursor is None:
        return curve.values[-1]
    before = [v for i, v in zip(curve.iterations, curve.values, strict=True) if i <= cursor]
    return before[-1] if before else curve.values[0]


def _dots(curve: Curve | None, iterations: int, low: float, high: float) -> list[DotView]:
    points = [
        (iteration, min(max(value, low), high))
        for iteration, value in (zip(curve.iterations, curve.values, strict=True) if curve else ())
        if math.isfinite(value)
    ]
    if len(points) > MAX_DOTS:
        return []
    return [
        DotView(f"{100 * iteration / iterations:.2f}%", f"{100 * (high - value) / (high - low):.2f}%")
        for iteration, value in points
    ]


def _summary(heading: str, found: list[tuple[str, Curve | None]]) -> str:
    """Return what the chart shows, in words."""
    parts = [
        f"{word + ': ' if word else ''}{show_number(curve.values[0])} at iteration "
        f"{show_count(curve.iterations[0])}, {show_number(curve.values[-1])} at iteration "
        f"{show_count(curve.iterations[-1])}"
        for word, curve in found
        if curve and curve.values
    ]
    return f"{heading} over the iterations. " + (". ".join(parts) or "No points yet") + "."
