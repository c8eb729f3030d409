"""Memorisation: the samples are training images."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import COPIES, NEAREST_TRAINING

MOST_COPIES = 0.5
FAR = 0.6


def look(history: History) -> Evidence | None:
    """Return evidence where most samples lie nearer to a training image than unseen images do."""
    copies, nearest = history.value(COPIES.name), history.value(NEAREST_TRAINING.name)
    if copies is None or nearest is None or copies < MOST_COPIES or nearest > FAR:
        return None
    text = f"Learnt by heart: {copies:.0%} of samples are copies of training images"
    return Evidence(text, {COPIES.name: copies, NEAREST_TRAINING.name: nearest})


RULE = Rule(
    name="memorisation",
    title="Memorisation",
    severity="serious",
    meaning="The generator draws training images again instead of new ones.",
    threshold="half of the samples nearer to a training image than 99 % of unseen images, and on average below "
    "0.6 of their distance",
    window=2,
    look=look,
    remedies=(
        remedies.differentiable_augmentation,
        remedies.smaller_networks,
        remedies.fewer_iterations,
    ),
)
