"""Divergence: losses or weights explode, or pictures are not finite, black or constant."""

import math

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import (
    CONTRAST,
    DISCRIMINATOR_LOSS,
    DISCRIMINATOR_WEIGHTS,
    DIVERSITY,
    FAKE_LOGITS,
    GENERATOR_LOSS,
    GENERATOR_WEIGHTS,
    NOT_FINITE,
    REAL_LOGITS,
)

# Networks that learn give losses and logits of some tens at most.
LARGEST = 1e3
# A critic's are a distance; beyond this it is no longer Lipschitz in any useful sense.
LARGEST_OF_CRITIC = 200.0
# Losses that jump may be small for a moment.
_POINTS = 4
# Weights grow by some times while networks learn.
LARGEST_GROWTH = 20.0
LEAST_CONTRAST = 0.02
# So many grids in a row that are all black or all white, which no network begins with, are enough at any time.
_BLANK_GRIDS = 3
_NUMBERS = (GENERATOR_LOSS, DISCRIMINATOR_LOSS, REAL_LOGITS, FAKE_LOGITS)
_WEIGHTS = (GENERATOR_WEIGHTS, DISCRIMINATOR_WEIGHTS)


def look(history: History) -> Evidence | None:
    """Return evidence where a number is not finite or very large, or pictures are plain."""
    newest = history.points[-1].values
    not_finite = newest.get(NOT_FINITE.name, 0.0)
    if not_finite:
        text = f"Diverged: {say_share(not_finite)} of the pictures' values are not finite"
        return Evidence(text, {NOT_FINITE.name: not_finite})
    largest = LARGEST_OF_CRITIC if history.facts.get("is_critic") else LARGEST
    for metric in _NUMBERS:
        recent = [point.values.get(metric.name, 0.0) for point in history.points[-_POINTS:]]
        worst = max(recent, key=lambda value: abs(value) if math.isfinite(value) else math.inf)
        if not abs(worst) <= largest:
            return Evidence(f"Diverged: {_lower(metric.label)} is {worst:.3g}", {metric.name: worst})
    for metric in _WEIGHTS:
        value, least = newest.get(metric.name), history.lowest.get(metric.name)
        if value is not None and least and (not math.isfinite(value) or value > LARGEST_GROWTH * least):
            text = f"Diverged: {_lower(metric.label)} have grown {value / least:,.0f}-fold"
            return Evidence(text, {metric.name: value})
    contrast, diversity = history.value(CONTRAST.name), history.value(DIVERSITY.name)
    is_late = not history.is_early() or int(history.facts.get("blank_count", 0)) >= _BLANK_GRIDS
    if contrast is not None and diversity is not None and contrast < LEAST_CONTRAST and is_late:
        return Evidence("Pictures of one plain colour", {CONTRAST.name: contrast, DIVERSITY.name: diversity})
    return None


def say_share(share: float) -> str:
    """Return a share above 0 in percent; one of less than half a percent is some."""
    return f"{share:.0%}" if share >= 0.005 else "some"


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:]


RULE = Rule(
    name="divergence",
    title="Divergence",
    severity="serious",
    meaning="Losses or weights explode, or pictures hold NaN or are one plain colour: nothing will be learnt from "
    "here.",
    threshold="a loss or mean logit beyond 1,000 (a critic's: 200) or not finite at one of four measurements, "
    "weights 20 times as large as at first, pictures that hold NaN, or a contrast below 0.02 of real images'",
    window=1,
    look=look,
    remedies=(
        remedies.lower_rates,
        remedies.gradient_penalty_for_critic,
        remedies.batch_norm_in_generator,
        remedies.float32,
    ),
)
