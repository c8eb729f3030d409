"""Charts of a run's curves, over its iterations."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from api.jobs.schemas import AttemptRead, JobRead
from api.samples.schemas import Curve
from dashboard.charts.chart import ChartAxis, ChartFrame, CurveChart, Line, build_chart
from dashboard.run.waiting import ENDS
from dashboard.web.formats import show_count
from dashboard.web.layout import DISCRIMINATOR_LOSS, GENERATOR_LOSS

# Whose hue a curve has; every other one is told apart by its dashes.
PLAYERS = {
    GENERATOR_LOSS: "generator",
    DISCRIMINATOR_LOSS: "discriminator",
    "logits/fake": "generator",
    "logits/real": "discriminator",
}
LOSS_WORDS = {GENERATOR_LOSS: "Generator", DISCRIMINATOR_LOSS: "Discriminator"}
STROKES = 8
MAX_CHOSEN = 20
# How many stretches a script asks for: about one for each two pixels.
WIDE_POINTS, NARROW_POINTS = 500, 160


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
class RunAxis:
    """What the charts of a page share: the run, its length, and the iteration that is selected."""

    job_id: str
    iterations: int
    cursor: int | None = None


def build_curve_chart(
    heading: str, words: Mapping[str, str], curves: Iterable[Curve], axis: RunAxis, points: int
) -> CurveChart:
    """Return the chart of these metrics, each with its word, from iteration 0 to the run's last."""
    by_name = {curve.name: curve for curve in curves}
    styles = _choose_styles(list(words))
    lines = [_line(metric, word, styles[metric], by_name.get(metric)) for metric, word in words.items()]
    frame = ChartFrame(heading, points, metrics_url=f"/jobs/{axis.job_id}/metrics")
    return build_chart(frame, lines, ChartAxis("iteration", axis.iterations, axis.cursor))


def _line(metric: str, word: str, style: str, curve: Curve | None) -> Line:
    return Line(metric, word, style, curve.iterations if curve else [], curve.values if curve else [])


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


# Metrics that belong into one chart, each with its word; every other `eval/…` has a chart of its own.
TOGETHER: dict[str, dict[str, str]] = {
    "Log of generator loss / discriminator loss": {"loss/log_ratio": ""},
    "Mean logits": {"logits/real": "real images", "logits/fake": "generated images"},
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


def measured_metrics(names: Iterable[str]) -> list[str]:
    """Return those of a run's metrics that have a chart, in the order of the charts."""
    known = set(names)
    together = [name for chart in TOGETHER.values() for name in chart]
    alone = [name for name in sorted(known) if name.startswith("eval/") and not LEFT_OUT.fullmatch(name)]
    return [name for name in [*together, *(name for name in alone if name not in together)] if name in known]


def build_measures(curves: list[Curve], axis: RunAxis) -> list[CurveChart]:
    """Return the charts of a run's measured metrics; none without a point."""
    by_name = {curve.name: curve for curve in curves if any(math.isfinite(value) for value in curve.values)}
    charts = {heading: words for heading, words in TOGETHER.items() if words.keys() & by_name.keys()}
    together = {name for words in TOGETHER.values() for name in words}
    for name in measured_metrics(by_name):
        if name not in together:
            charts[_say(name)] = {name: ""}
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


def _say(name: str) -> str:
    """eval/classifier_score as Classifier score."""
    short = name.partition("/")[2]
    return _WORDS.get(short, short.replace("_", " ").capitalize())
