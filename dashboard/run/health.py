"""Judges whether a run learns and is healthy, in a word and a sentence, from its newest losses and logits."""

import math
from dataclasses import dataclass
from typing import Any

from api.curves.schemas import Curve
from api.jobs.schemas import JobRead, JobSummary
from dashboard.web.formats import show_count, show_number, show_percent
from dashboard.web.layout import latest_value
from ganlib.spec.sections.losses import LOSSES, LossFacts
from ganlib.techniques import TECHNIQUES
from ganlib.vocabulary import DISCRIMINATOR_LOSS, FAKE_LOGITS, GENERATOR_LOSS, REAL_LOGITS

RECENT_POINTS = 20
# A run of another version may have a loss that is not known here.
_UNKNOWN_LOSS = LossFacts(partners=())
# A critic's estimate of the distance moves by more than this share of itself, or holds.
MOVED = 0.1


@dataclass(frozen=True)
class MeanLogits:
    """Mean logits of real and of generated images at the same iterations, oldest first."""

    real: list[float]
    fake: list[float]

    @property
    def gaps(self) -> list[float]:
        """Differences of the mean logits of real and generated images."""
        return [real - fake for real, fake in zip(self.real, self.fake, strict=True)]


def read_mean_logits(curves: list[Curve]) -> MeanLogits | None:
    """Return the mean logits of a run where both were logged, as far as they are finite; None without them."""
    by_name = {curve.name: dict(zip(curve.iterations, curve.values, strict=True)) for curve in curves}
    real, fake = by_name.get(REAL_LOGITS.name, {}), by_name.get(FAKE_LOGITS.name, {})
    pairs = [(real[at], fake[at]) for at in sorted(real.keys() & fake.keys())]
    pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
    return MeanLogits([r for r, _ in pairs], [f for _, f in pairs]) if pairs else None


def judge_balance(loss_name: str, logits: MeanLogits) -> tuple[str, str] | None:
    """Return a word and a sentence; None for a loss whose logits say nothing of real against fake."""
    real, fake = _mean(logits.real[-RECENT_POINTS:]), _mean(logits.fake[-RECENT_POINTS:])
    evidence = f"mean logits {show_number(real)} for real images, {show_number(fake)} for generated ones"
    facts = LOSSES.get(loss_name, _UNKNOWN_LOSS)
    if not (facts.certain_logits or facts.is_critic):
        return None
    if real < fake:
        return "One-sided", f"The discriminator takes generated images for the real ones: {evidence}."
    if facts.certain_logits is None:
        return _judge_critic(logits.gaps)
    certain_real, certain_fake = facts.certain_logits
    if real > certain_real and fake < certain_fake:
        return "One-sided", f"The discriminator is nearly always right: {evidence}."
    return "Balanced", f"Neither player has won: {evidence}."


def _judge_critic(gaps: list[float]) -> tuple[str, str]:
    """A critic has no fixed point, but its estimate of the distance should fall."""
    now, before = _mean(gaps[-RECENT_POINTS:]), _mean(gaps[len(gaps) // 2 :][:RECENT_POINTS])
    sentence = f"The critic's distance is {show_number(now)}; halfway it was {show_number(before)}."
    if now < before * (1 - MOVED):
        return "Closing in", sentence
    if now > before * (1 + MOVED):
        return "Moving apart", sentence
    return "Holding", sentence


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


# The players start far apart, so their first losses mean little.
EARLY_ITERATIONS, EARLY_POINTS = 100, 50
# Far above any loss of networks that learn.
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
        return Verdict("No longer", "Some of the newest losses are not finite numbers.")
    if not recent:
        return Verdict("Not yet known", "No losses have arrived.")
    if _large_losses(job):
        return Verdict("Unlikely", "Networks that learn do not give losses as large as these.")
    other = _judge_by_pictures(job.spec)
    by_logits = other and logits and _judge_by_logits(job.spec, logits)
    if other is not None and not by_logits:
        return other
    if _is_early(job, points):
        return Verdict(
            "Too early to tell", f"The curves have {show_count(points)} point{'s' if points > 1 else ''}."
        )
    if by_logits:
        return by_logits
    mean, bounds = _mean(recent), _loss_facts(job.spec).balanced_losses or (0.0, math.inf)
    if mean < bounds[0]:
        return Verdict("One-sided", "The discriminator is nearly always right.")
    if mean > bounds[1]:
        return Verdict("One-sided", "The discriminator is wrong more often than a coin.")
    return Verdict("Balanced", "Neither player has won; see the pictures.")


def _judge_by_pictures(spec: dict[str, Any]) -> Verdict | None:
    """Return why the discriminator's loss cannot be judged by its bounds, or None where it can."""
    losses = spec.get("losses", {})
    loss_name = losses.get("discriminator", "minimax")
    if loss_name == "none":
        return Verdict("See the accuracy", "Only a classifier is trained.")
    if _loss_facts(spec).balanced_losses is None:
        return Verdict(
            "See the pictures",
            f"The {loss_name.replace('_', ' ')} loss has no fixed point to judge by, and neither have its logits.",
        )
    if losses.get("classes"):
        return Verdict("See the pictures", "The discriminator's loss includes that of its classes.")
    names = [part.get("technique") for part in spec.get("techniques", [])]
    adding = [name for name in names if name in TECHNIQUES and TECHNIQUES[name].adds_to_discriminator_loss]
    if adding:
        name = adding[0].replace("_", " ")
        return Verdict("See the pictures", f"The discriminator's loss includes the term of {name}.")
    return None


def _judge_by_logits(spec: dict[str, Any], logits: MeanLogits) -> Verdict | None:
    balance = judge_balance(_loss_name(spec), logits)
    return Verdict(*balance) if balance else None


def _loss_name(spec: dict[str, Any]) -> str:
    return str(spec.get("losses", {}).get("discriminator", "minimax"))


def _loss_facts(spec: dict[str, Any]) -> LossFacts:
    return LOSSES.get(_loss_name(spec), _UNKNOWN_LOSS)


def _judge_broken_off(job: JobRead) -> Verdict:
    if not job.iteration:
        return Verdict("Never began", "It ended before its first iteration was reported.")
    at = show_percent(job.iteration / job.iterations)
    return Verdict("Stopped early", f"It ended at {at} of its iterations.")


def _newest_losses(job: JobSummary) -> dict[str, float]:
    named = {
        "generator": latest_value(job, GENERATOR_LOSS.name),
        "discriminator": latest_value(job, DISCRIMINATOR_LOSS.name),
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
        advice = "Lower both learning rates, for example by half."
        return Verdict("Large losses", f"Losses are very large: {', '.join(large)}. {advice}")
    if job.state == "running" and not losses and not warning_count:
        return Verdict("Starting", "The trainer loads its data and builds the networks; there are no losses yet.")
    notes = []
    if job.attempt > 1:
        notes.append(f"attempt {job.attempt}, resumed from its checkpoint")
    if warning_count:
        notes.append(f"{warning_count} warning{'s' if warning_count > 1 else ''} in the log")
    text = "; ".join(notes) or "Losses finite, no warnings."
    return Verdict("Steady", text[0].upper() + text[1:])
