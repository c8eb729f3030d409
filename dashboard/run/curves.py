"""Charts of a run's curves, over its iterations."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from api.attempts.schemas import AttemptRead
from api.curves.schemas import Curve
from api.jobs.schemas import JobRead, JobSummary
from api.server.http.schemas import TERMINAL_STATES
from api.workers.waiting import ATTEMPT_ENDS
from dashboard.charts.chart import CHART_METRICS, ChartAxis, ChartFrame, CurveChart, Line, build_chart
from dashboard.charts.marks import Span
from dashboard.charts.references import find_real
from dashboard.web.formats import show_count
from dashboard.web.layout import Figure, figure_of
from ganlib.vocabulary import (
    CLASS_SHARES,
    COPIES,
    DIVERSITY,
    EVALUATION,
    FAKE_LOGITS,
    FEATURE_DIVERSITY,
    GROUP_LABELS,
    HELD_OUT_LOGITS,
    KINDS,
    LABELLED_ACCURACY,
    LOG_RATIO,
    MOVEMENT,
    NEAREST_TRAINING,
    OVERFITTING,
    REAL_DISTANCE,
    REAL_LOGITS,
    SCRATCH_ACCURACY,
    SIGNALS,
    TEST_ACCURACY,
    TEST_ERRORS,
    TRANSFER_ACCURACY,
    VALIDATION_ACCURACY,
    VALIDATION_ERRORS,
    Metric,
    Player,
    find_metric,
    label_group,
)
from ganlib.vocabulary.losses import choose_drawn, find_losses

STROKES = 8
MAX_CHOSEN = 20
# Stretches that a script requests: about one for each two pixels.
WIDE_POINTS, NARROW_POINTS = 500, 160


@dataclass(frozen=True)
class AttemptMark:
    """The iteration at which an attempt resumed, and why the one before had ended."""

    iteration: int
    text: str


@dataclass(frozen=True)
class ChoiceView:
    """A metric that can be chosen, the player whose loss it looks like, and what real images get, if known."""

    metric: Metric
    player: Player
    is_chosen: bool
    real: Figure | None


@dataclass(frozen=True)
class RunAxis:
    """The axis that the charts of a run share: its run, its length, the selected iteration, and the values there.

    values: of each metric that has a point up to the selected iteration; the newest ones where none is selected.
    dataset: whose real images a curve is compared with. spans: stretches of it that something was found on.
    """

    job_id: str
    iterations: int
    cursor: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    dataset: str = ""
    spans: Sequence[Span] = ()


def axis_length(job: JobSummary) -> int:
    """Return where a run's axis ends: at its planned end while it may get there, else where it is."""
    is_open = job.iterations and job.state not in TERMINAL_STATES
    return max(1, job.iterations if is_open else job.iteration)


def build_curve_chart(
    heading: str,
    words: Mapping[str, str],
    curves: Iterable[Curve],
    axis: RunAxis,
    points: int,
    players: Mapping[str, Player] | None = None,
) -> CurveChart:
    """Return the chart of these metrics, each with its word, from iteration 0 to the end of the axis.

    players: of somebody's own metrics that look like a player's loss.
    """
    by_name = {curve.name: curve for curve in curves}
    styles = _choose_styles(list(words), players or {})
    lines = [_line(find_metric(name), word, styles[name], by_name.get(name), axis) for name, word in words.items()]
    alone = find_metric(next(iter(words))) if list(words.values()) == [""] else None
    frame = ChartFrame(heading, points, metrics_url=f"/jobs/{axis.job_id}/metrics", about=alone)
    return build_chart(frame, lines, ChartAxis("iteration", axis.iterations, axis.cursor, axis.spans))


def _line(metric: Metric, word: str, style: str, curve: Curve | None, axis: RunAxis) -> Line:
    points = (curve.iterations, curve.values) if curve else ([], [])
    return Line(
        metric.name,
        word,
        style,
        *points,
        value=axis.values.get(metric.name),
        is_thinned=curve is not None and len(curve.values) < curve.total,
        about=metric if word else None,
        real=find_real(metric, axis.dataset),
    )


def choose_words(chosen: Sequence[str], known: Iterable[str]) -> dict[str, str]:
    """Return the labels of the large chart's metrics: those that were chosen and exist, or both losses.

    Where nothing looks like these, the first few of a loop of somebody's own.
    """
    names = set(known)
    metrics = [name for name in dict.fromkeys(chosen) if name in names][:MAX_CHOSEN]
    return {name: find_metric(name).label for name in metrics or choose_drawn(names) or CHART_METRICS}


def build_choices(known: Iterable[str], chosen: Iterable[str], dataset: str) -> list[tuple[str, list[ChoiceView]]]:
    """Return every metric of a run by its group, such as losses, and which are chosen."""
    groups: dict[str, list[ChoiceView]] = {}
    names = sorted(known)
    losses = find_losses(names)
    for name in names:
        metric = find_metric(name)
        real = find_real(metric, dataset)
        player = losses.get(name) or metric.player
        choice = ChoiceView(metric, player, name in set(chosen), figure_of(real) if real is not None else None)
        groups.setdefault(_name_group(metric), []).append(choice)
    order = [
        label
        for group, label in GROUP_LABELS.items()
        for label in (SIGNAL_LABELS if group == SIGNALS else [label])
    ]
    return [(label, groups[label]) for label in dict.fromkeys([*order, *groups]) if label in groups]


# There are too many signals for one list.
UNGROUPED = "Metrics"
MEMORY = (NEAREST_TRAINING, COPIES, OVERFITTING, HELD_OUT_LOGITS)
SIGNAL_LABELS = ("Signals of the samples", "Signals of what is remembered", "Signals of the networks")


def _name_group(metric: Metric) -> str:
    if "/" not in metric.name:
        return UNGROUPED
    if metric.group != SIGNALS:
        return label_group(metric.group)
    return SIGNAL_LABELS[1 if metric in MEMORY else 2 if metric.player else 0]


def build_attempt_marks(job: JobRead) -> list[AttemptMark]:
    """Return the iterations at which attempts resumed, in words."""
    return [
        AttemptMark(
            later.resumed_from,
            f"Attempt {later.attempt} resumed from iteration {show_count(later.resumed_from)}: {_why(earlier)}",
        )
        for earlier, later in zip(job.attempts, job.attempts[1:], strict=False)
    ]


def _why(attempt: AttemptRead) -> str:
    """Return why an attempt ended that was not the last."""
    if attempt.reason:
        return attempt.reason.message.splitlines()[0][:200] if attempt.reason.message else attempt.reason.code
    return f"{ATTEMPT_ENDS.get(attempt.end or '', 'the one before had ended')}."


def _choose_styles(metrics: list[str], players: Mapping[str, Player]) -> dict[str, str]:
    """Return each metric's class: its player's hue, once, or a stroke of its own."""
    styles: dict[str, str] = {}
    for metric in metrics:
        player = players.get(metric) or find_metric(metric).player
        style = f"player-{player}"
        if not player or style in styles.values():
            taken = sum(given.startswith("stroke-") for given in styles.values())
            style = f"stroke-{taken % STROKES}"
        styles[metric] = style
    return styles


# Metrics that share one chart, each with its word; every other one of the evaluation has a chart of its own.
# Of the signals these are the most telling: all others can be chosen for the large chart.
TOGETHER: dict[str, dict[str, str]] = {
    REAL_DISTANCE.heading: {REAL_DISTANCE.name: ""},
    DIVERSITY.heading: {DIVERSITY.name: "in pixels", FEATURE_DIVERSITY.name: "for the discriminator"},
    KINDS.heading: {KINDS.name: ""},
    MOVEMENT.heading: {MOVEMENT.name: ""},
    NEAREST_TRAINING.heading: {NEAREST_TRAINING.name: ""},
    OVERFITTING.heading: {OVERFITTING.name: ""},
    LOG_RATIO.heading: {LOG_RATIO.name: ""},
    "Mean logits": {REAL_LOGITS.name: "real images", FAKE_LOGITS.name: "generated images"},
    "Classifier on the discriminator's layers": {
        TRANSFER_ACCURACY.name: "pretrained",
        SCRATCH_ACCURACY.name: "from scratch",
    },
    "Classification accuracy": {
        LABELLED_ACCURACY.name: "labelled, while training",
        TEST_ACCURACY.name: "test",
        VALIDATION_ACCURACY.name: "validation",
    },
}
# Shown by another chart, or too many for one.
LEFT_OUT = (CLASS_SHARES, TEST_ERRORS, VALIDATION_ERRORS)


# Small charts of a loop of somebody's own: further metrics can be chosen for the large one.
MOST_OWN = 24


def list_own(names: Iterable[str], drawn: Iterable[str]) -> list[str]:
    """Return the metrics of somebody's own loop that have a small chart: those that the large one leaves out."""
    return sorted(set(names) - set(drawn))[:MOST_OWN]


def measured_metrics(names: Iterable[str]) -> list[str]:
    """Return the metrics of a run that have a chart, in the order of the charts."""
    known = set(names)
    together = [name for chart in TOGETHER.values() for name in chart]
    evaluated = [name for name in sorted(known) if find_metric(name).group == EVALUATION]
    alone = [name for name in evaluated if not any(metric.matches(name) for metric in LEFT_OUT)]
    return [name for name in [*together, *(name for name in alone if name not in together)] if name in known]


def build_measures(curves: list[Curve], axis: RunAxis, alone: Iterable[str] = ()) -> list[CurveChart]:
    """Return the charts of a run's measured metrics; none without a point. alone: others that have one each."""
    by_name = {curve.name: curve for curve in curves if any(math.isfinite(value) for value in curve.values)}
    charts = {heading: words for heading, words in TOGETHER.items() if words.keys() & by_name.keys()}
    together = {name for words in TOGETHER.values() for name in words}
    for name in measured_metrics(by_name):
        if name not in together:
            charts[find_metric(name).heading] = {name: ""}
    for name in alone:
        if name in by_name and not any(name in words for words in charts.values()):
            charts[find_metric(name).heading] = {name: ""}
    return [
        build_curve_chart(
            heading,
            {name: word for name, word in words.items() if name in by_name},
            by_name.values(),
            axis,
            NARROW_POINTS,
        )
        for heading, words in charts.items()
    ]
