"""Charts of a run's curves, over its iterations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from api.schemas import AttemptRead, Curve, JobRead
from dashboard.formats import show_count
from dashboard.views.chart_frame import ChartAxis, ChartFrame, CurveChart, Line, build_chart
from dashboard.views.common import DISCRIMINATOR_LOSS, GENERATOR_LOSS
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
