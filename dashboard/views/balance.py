"""Which player is ahead, by the discriminator's mean logits: where its loss holds more than real against fake.

The pictures decide; this says only what the logits do.
"""

import math
from dataclasses import dataclass

from api.schemas import Curve
from dashboard.formats import show_number

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
