"""The first screen's answers about a run: is it learning, is it healthy, how long still."""

from dataclasses import dataclass
from datetime import datetime

from api.schemas import TERMINAL_STATES, Curve, JobRead
from dashboard.formats import show_count, show_duration, show_number, show_percent
from dashboard.views.balance import read_mean_logits
from dashboard.views.common import (
    DISCRIMINATOR_LOSS,
    GENERATOR_LOSS,
    SPEED,
    Figure,
    figure_of,
    latest_value,
    seconds_left,
    seconds_taken,
)
from dashboard.views.health import Verdict, judge_health, judge_learning


@dataclass(frozen=True)
class VitalsView:
    """The first screen's answers: is it learning, is it healthy, how long still."""

    iteration: int
    iterations: int
    progress: str
    percent: str
    speed: str
    time_word: str
    time: str
    generator_loss: Figure
    discriminator_loss: Figure
    learning: Verdict
    health: Verdict


def build_vitals(job: JobRead, curves: list[Curve], warning_count: int, now: datetime) -> VitalsView:
    """Return the answers; `curves` holds the discriminator's loss and mean logits, if there are any."""
    speed = latest_value(job, SPEED)
    curve = next((c for c in curves if c.name == DISCRIMINATOR_LOSS), None)
    left = seconds_left(job)
    is_over = job.state in TERMINAL_STATES
    no_speed = "no speed was measured" if is_over else "speed not yet known"
    return VitalsView(
        iteration=job.iteration,
        iterations=job.iterations,
        progress=f"{show_count(job.iteration)} / {show_count(job.iterations)}",
        percent=show_percent(job.iteration / job.iterations),
        speed=f"{show_number(speed)} iterations/s" if speed is not None else no_speed,
        time_word="Time taken" if is_over else "Time left",
        time=show_duration(seconds_taken(job, now) if is_over else left),
        generator_loss=figure_of(latest_value(job, GENERATOR_LOSS)),
        discriminator_loss=figure_of(latest_value(job, DISCRIMINATOR_LOSS)),
        learning=judge_learning(
            job, curve.values if curve else [], curve.total if curve else 0, read_mean_logits(curves)
        ),
        health=judge_health(job, warning_count),
    )
