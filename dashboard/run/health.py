"""Is it learning, is it healthy: a word and a sentence from the newest losses. The pictures decide."""

import math
from dataclasses import dataclass
from typing import Any

from api.jobs.schemas import JobRead, JobSummary
from api.samples.schemas import Curve
from dashboard.web.formats import show_count, show_number, show_percent
from dashboard.web.layout import DISCRIMINATOR_LOSS, GENERATOR_LOSS, latest_value

RECENT_POINTS = 20
# Beyond these mean logits the loss of real images, and that of fakes, is nearly as low as it gets: sigmoid gives
# 95 % and 5 %, hinge's margin is met, least squares' targets are nearly reached.
SURE: dict[str, tuple[float, float]] = {
    "minimax": (2.94, -2.94),
    "hinge": (1.0, -1.0),
    "least_squares": (0.95, 0.05),
}
# A critic's estimate of the distance moves by more than this share of itself, or holds.
MOVED = 0.1


@dataclass(frozen=True)
class MeanLogits:
    """Mean logits of real and of generated images at the same iterations, oldest first."""

    real: list[float]
    fake: list[float]

    @property
    def gaps(self) -> list[float]:
        """How far real images are above generated ones."""
        return [real - fake for real, fake in zip(self.real, self.fake, strict=True)]


def read_mean_logits(curves: list[Curve]) -> MeanLogits | None:
    """Return the mean logits of a run where both were logged, as far as they are finite; None without them."""
    by_name = {curve.name: dict(zip(curve.iterations, curve.values, strict=True)) for curve in curves}
    real, fake = by_name.get("logits/real", {}), by_name.get("logits/fake", {})
    pairs = [(real[at], fake[at]) for at in sorted(real.keys() & fake.keys())]
    pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
    return MeanLogits([r for r, _ in pairs], [f for _, f in pairs]) if pairs else None


def judge_balance(loss_name: str, logits: MeanLogits) -> tuple[str, str] | None:
    """Return a word and a sentence; None for a loss whose logits say nothing of real against fake."""
    real, fake = _mean(logits.real[-RECENT_POINTS:]), _mean(logits.fake[-RECENT_POINTS:])
    told = f"mean logits {show_number(real)} for real images, {show_number(fake)} for generated ones"
    if loss_name not in SURE and loss_name != "wasserstein":
        return None
    if real < fake:
        return "One-sided", f"The discriminator takes generated images for the real ones: {told}."
    if loss_name == "wasserstein":
        return _judge_critic(logits.gaps)
    sure_real, sure_fake = SURE[loss_name]
    if real > sure_real and fake < sure_fake:
        return "One-sided", f"The discriminator is nearly always right: {told}."
    return "Balanced", f"Neither player has won: {told}."


def _judge_critic(gaps: list[float]) -> tuple[str, str]:
    """A critic has no fixed point, but its estimate of the distance should fall."""
    now, before = _mean(gaps[-RECENT_POINTS:]), _mean(gaps[len(gaps) // 2 :][:RECENT_POINTS])
    told = f"the critic's distance is {show_number(now)}, at half of the way here it was {show_number(before)}"
    if now < before * (1 - MOVED):
        return "Closing in", f"T{told[1:]}."
    if now > before * (1 + MOVED):
        return "Moving apart", f"T{told[1:]}."
    return "Holding", f"T{told[1:]}."


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


# The discriminator's loss is -log D(x) - log(1 - D(G(z))). Where it cannot tell, D = 1/2, this is 2 ln 2 = 1.386.
# Below 0.1 it is right with more than 95 % certainty on both: its gradient teaches the generator little.
SURE_BELOW = 0.1
# Above 1.6 it is wrong more often than a coin: it follows the generator no more.
LOST_ABOVE = 1.6
# The players start far apart: what their first losses say does not last.
EARLY_ITERATIONS, EARLY_POINTS = 100, 50
# What these add to the discriminator's loss is no part of the game.
ADDING_TECHNIQUES = ("gradient_penalty", "r1", "historical_averaging")
# Far beyond what logits of networks that learn give, whichever loss.
LARGE_LOSS = 1e4


@dataclass(frozen=True)
class Verdict:
    """A word and the sentence that explains it."""

    word: str
    text: str


def judge_learning(
    job: JobRead, discriminator_losses: list[float], points: int, logits: MeanLogits | None = None
) -> Verdict:
    """Judge the balance of the two players by the mean of the discriminator's newest losses, or by its logits.

    points: how many losses were logged. The losses' bounds hold for the minimax loss alone; of a loss that holds
    more, and of others, the mean logits tell where they were logged.
    """
    if job.state in ("failed", "cancelled"):
        return _judge_broken_off(job)
    recent = discriminator_losses[-RECENT_POINTS:]
    if not all(map(math.isfinite, [*recent, *_newest_losses(job).values()])):
        return Verdict("No longer", "Among the newest losses are some that are no finite numbers.")
    if not recent:
        return Verdict("Not yet known", "No losses have arrived.")
    if _large_losses(job):
        return Verdict("Unlikely", "Networks that learn do not give losses as large as these.")
    other = _judge_by_pictures(job.spec)
    found = other and logits and _judge_by_logits(job.spec, logits)
    if other is not None and not found:
        return other
    if _is_early(job, points):
        return Verdict(
            "Too early to tell", f"The curves have {show_count(points)} point{'s' if points > 1 else ''}."
        )
    if found:
        return found
    mean = sum(recent) / len(recent)
    if mean < SURE_BELOW:
        return Verdict("One-sided", "The discriminator is nearly always right.")
    if mean > LOST_ABOVE:
        return Verdict("One-sided", "The discriminator is worse than a coin.")
    return Verdict("Balanced", "Neither player has won; see the pictures.")


def _judge_by_pictures(spec: dict[str, Any]) -> Verdict | None:
    """Return why the discriminator's loss cannot be judged by the bounds of minimax, or None where it can."""
    losses = spec.get("losses", {})
    loss_name = losses.get("discriminator", "minimax")
    if loss_name == "none":
        return Verdict("See the accuracy", "Only a classifier is trained.")
    if loss_name != "minimax":
        return Verdict(
            "See the pictures",
            f"The {loss_name.replace('_', ' ')} loss has no fixed point to judge by, and its logits say nothing.",
        )
    if losses.get("classes"):
        return Verdict("See the pictures", "The discriminator's loss holds that of its classes too.")
    added = [part for part in spec.get("techniques", []) if part.get("technique") in ADDING_TECHNIQUES]
    if added:
        name = added[0]["technique"].replace("_", " ")
        return Verdict("See the pictures", f"The discriminator's loss holds what {name} adds.")
    return None


def _judge_by_logits(spec: dict[str, Any], logits: MeanLogits) -> Verdict | None:
    found = judge_balance(spec.get("losses", {}).get("discriminator", "minimax"), logits)
    return Verdict(*found) if found else None


def _judge_broken_off(job: JobRead) -> Verdict:
    if not job.iteration:
        return Verdict("Never began", "It ended before its first iteration was reported.")
    at = show_percent(job.iteration / job.iterations)
    return Verdict("Broken off", f"It ended at {at} of its iterations.")


def _newest_losses(job: JobSummary) -> dict[str, float]:
    named = {
        "generator": latest_value(job, GENERATOR_LOSS),
        "discriminator": latest_value(job, DISCRIMINATOR_LOSS),
    }
    return {player: loss for player, loss in named.items() if loss is not None}


def _large_losses(job: JobSummary) -> list[str]:
    """Return, in words, the newest losses that are very large."""
    losses = _newest_losses(job).items()
    return [f"the {player}'s is {show_number(loss)}" for player, loss in losses if abs(loss) > LARGE_LOSS]


def _is_early(job: JobRead, points: int) -> bool:
    # A run that logs seldom has few losses even late.
    return job.iteration < EARLY_ITERATIONS or (points < EARLY_POINTS and 2 * job.iteration < job.iterations)


def judge_health(job: JobSummary, warning_count: int) -> Verdict:
    """Judge whether the run goes as it should."""
    by_state = {
        "queued": Verdict("Waiting", "The reason is at the top."),
        "failed": Verdict("Failed", "The reason is at the top."),
        "cancelled": Verdict("Cancelled", "It was stopped on request."),
    }
    if job.state in by_state:
        return by_state[job.state]
    losses = _newest_losses(job)
    if not all(map(math.isfinite, losses.values())):
        return Verdict("Diverged", "A loss is no longer a finite number.")
    if job.state == "running" and job.cancel_requested_at:
        return Verdict("Stopping", "The worker was asked to stop.")
    large = _large_losses(job)
    if large:
        advice = "Lower both learning rates, as by half."
        return Verdict("Large losses", f"Losses are very large: {', '.join(large)}. {advice}")
    if job.state == "running" and not losses and not warning_count:
        return Verdict("Starting", "The trainer loads its data and builds the networks; no loss has come yet.")
    notes = []
    if job.attempt > 1:
        notes.append(f"attempt {job.attempt}, resumed from its checkpoint")
    if warning_count:
        notes.append(f"{warning_count} warning{'s' if warning_count > 1 else ''} in the log")
    text = "; ".join(notes) or "Losses finite, no warnings."
    return Verdict("Steady", text[0].upper() + text[1:])
