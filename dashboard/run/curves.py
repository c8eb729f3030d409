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
from dashboard.web.formats import show_count
from ganlib.vocabulary import (
    CLASS_SHARES,
    EVALUATION,
    FAKE_LOGITS,
    GROUP_LABELS,
    LABELLED_ACCURACY,
    LOG_RATIO,
    REAL_LOGITS,
    SCRATCH_ACCURACY,
    TEST_ACCURACY,
    TEST_ERRORS,
    TRANSFER_ACCURACY,
    VALIDATION_ACCURACY,
    VALIDATION_ERRORS,
    Metric,
    find_metric,
    label_group,
)

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
    """A metric that can be chosen."""

    metric: Metric
    is_chosen: bool


@dataclass(frozen=True)
class RunAxis:
    """The axis that the charts of a run share: its run, its length, the selected iteration, and the values there.

    values: of each metric that has a point up to the selected iteration; the newest ones where none is selected.
    """

    job_id: str
    iterations: int
    cursor: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)


def axis_length(job: JobSummary) -> int:
    """Return where a run's axis ends: at its planned end while it may get there, else where it ended."""
    return max(1, job.iteration if job.state in TERMINAL_STATES else job.iterations)


def build_curve_chart(
    heading: str, words: Mapping[str, str], curves: Iterable[Curve], axis: RunAxis, points: int
) -> CurveChart:
    """Return the chart of these metrics, each with its word, from iteration 0 to the end of the axis."""
    by_name = {curve.name: curve for curve in curves}
    styles = _choose_styles(list(words))
    lines = [
        _line(find_metric(name), word, styles[name], by_name.get(name), axis.values.get(name))
        for name, word in words.items()
    ]
    alone = find_metric(next(iter(words))) if list(words.values()) == [""] else None
    frame = ChartFrame(heading, points, metrics_url=f"/jobs/{axis.job_id}/metrics", about=alone)
    return build_chart(frame, lines, ChartAxis("iteration", axis.iterations, axis.cursor))


def _line(metric: Metric, word: str, style: str, curve: Curve | None, value: float | None) -> Line:
    points = (curve.iterations, curve.values) if curve else ([], [])
    is_thinned = curve is not None and len(curve.values) < curve.total
    return Line(metric.name, word, style, *points, value, is_thinned, about=metric if word else None)


def choose_words(chosen: Sequence[str], known: Iterable[str]) -> dict[str, str]:
    """Return the labels of the large chart's metrics: those that were chosen and exist, or both losses."""
    metrics = [name for name in dict.fromkeys(chosen) if name in set(known)][:MAX_CHOSEN]
    return {name: find_metric(name).label for name in metrics or CHART_METRICS}


def build_choices(known: Iterable[str], chosen: Iterable[str]) -> list[tuple[str, list[ChoiceView]]]:
    """Return every metric of a run by its group, such as losses, and which are chosen."""
    groups: dict[str, list[ChoiceView]] = {group: [] for group in GROUP_LABELS}
    for name in sorted(known):
        metric = find_metric(name)
        groups.setdefault(metric.group, []).append(ChoiceView(metric, name in set(chosen)))
    return [(label_group(group), choices) for group, choices in groups.items() if choices]


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


def _choose_styles(metrics: list[str]) -> dict[str, str]:
    """Return each metric's class: its player's hue, once, or a stroke of its own."""
    styles: dict[str, str] = {}
    for metric in metrics:
        player = find_metric(metric).player
        style = f"player-{player}"
        if not player or style in styles.values():
            taken = sum(given.startswith("stroke-") for given in styles.values())
            style = f"stroke-{taken % STROKES}"
        styles[metric] = style
    return styles


# Metrics that share one chart, each with its word; every other one of the evaluation has a chart of its own.
TOGETHER: dict[str, dict[str, str]] = {
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


def measured_metrics(names: Iterable[str]) -> list[str]:
    """Return the metrics of a run that have a chart, in the order of the charts."""
    known = set(names)
    together = [name for chart in TOGETHER.values() for name in chart]
    evaluated = [name for name in sorted(known) if find_metric(name).group == EVALUATION]
    alone = [name for name in evaluated if not any(metric.matches(name) for metric in LEFT_OUT)]
    return [name for name in [*together, *(name for name in alone if name not in together)] if name in known]


def build_measures(curves: list[Curve], axis: RunAxis) -> list[CurveChart]:
    """Return the charts of a run's measured metrics; none without a point."""
    by_name = {curve.name: curve for curve in curves if any(math.isfinite(value) for value in curve.values)}
    charts = {heading: words for heading, words in TOGETHER.items() if words.keys() & by_name.keys()}
    together = {name for words in TOGETHER.values() for name in words}
    for name in measured_metrics(by_name):
        if name not in together:
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
