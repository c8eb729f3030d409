"""A discriminator that remembers its training images (Karras et al., 2020, sections 2 and 3)."""

import math
from itertools import chain

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import GENERATED_LOGITS, HELD_OUT_LOGITS, TRAINING_LOGITS

MOST = 0.5
# The mean of 128 held-out images' logits differs by some hundredths by chance.
LEAST_LOST = 0.1
_POINTS = 6


def look(history: History) -> Evidence | None:
    """Return evidence where held-out images lie far from those trained on, on the way to generated ones."""
    recent = history.points[-_POINTS:]
    names = (TRAINING_LOGITS.name, HELD_OUT_LOGITS.name, GENERATED_LOGITS.name)
    logits = [[point.values[name] for name in names] for point in recent if set(names) <= point.values.keys()]
    if len(logits) < _POINTS or not all(map(math.isfinite, chain.from_iterable(logits))):
        return None
    # Sums, because a single gap between real and generated images may be next to nothing.
    gap = sum(training - generated for training, _, generated in logits)
    lost = sum(training - held_out for training, held_out, _ in logits)
    if gap <= 0 or lost < max(MOST * gap, LEAST_LOST * _POINTS):
        return None
    text = f"The discriminator overfits: held-out images are {_round(lost / gap)} of the way to generated ones"
    return Evidence(text, dict(zip(names, logits[-1], strict=True)))


def _round(share: float) -> str:
    """Return a share to the next tenth, so that a line for people does not change with each measurement."""
    return f"{round(share, 1):.0%}"


RULE = Rule(
    name="discriminator_overfits",
    title="Discriminator overfits",
    severity="warning",
    meaning="The discriminator tells its training images from real ones that it has not seen.",
    threshold="over six measurements, held-out images lie at least 0.5 of the way from training images to "
    "generated ones, and at least 0.1 lower",
    window=2,
    look=look,
    remedies=(
        remedies.adaptive_augmentation,
        remedies.differentiable_augmentation,
        remedies.r1,
        remedies.lower_discriminator_rate,
    ),
)
