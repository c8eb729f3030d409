"""Memorisation: the samples are training images."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import COPIES, NEAREST_TRAINING

MOST_COPIES = 0.5
FAR = 0.6
# So near no sample is that is not a copy with noise, even where few unseen images are at hand to compare with.
NEAR = 0.5


def look(history: History) -> Evidence | None:
    """Return evidence where most samples lie nearer to a training image than unseen images do."""
    copies, nearest = history.value(COPIES.name), history.value(NEAREST_TRAINING.name)
    if copies is None or nearest is None or nearest > FAR:
        return None
    if copies < MOST_COPIES and nearest > NEAR:
        return None
    text = f"Learnt by heart: {copies:.0%} of samples are copies of training images"
    if copies < MOST_COPIES:
        text = f"Learnt by heart: samples are {_round(nearest)} as far from a training image as unseen images"
    return Evidence(text, {COPIES.name: copies, NEAREST_TRAINING.name: nearest})


def _round(share: float) -> str:
    """Return a share to the next tenth, so that a line for people does not change with each measurement."""
    return f"{round(share, 1):.0%}"


RULE = Rule(
    name="memorisation",
    title="Memorisation",
    severity="serious",
    meaning="The generator draws training images again instead of new ones.",
    threshold="on average below 0.5 of the distance of unseen images to a training image; or below 0.6, and half "
    "of the samples nearer to one than 99 % of unseen images",
    window=2,
    look=look,
    remedies=(
        remedies.differentiable_augmentation,
        remedies.smaller_networks,
        remedies.fewer_iterations,
    ),
)
