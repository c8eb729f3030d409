"""No progress: both players stand still, far from the data."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import LEAST_CHANGE, History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import DISCRIMINATOR_CHANGE, GENERATOR_CHANGE, GENERATOR_GRADIENT, MOVEMENT, REAL_DISTANCE

MOST_MOVEMENT = 0.01
MOST_OPPOSING_CHANGE = 3e-4
FAR = 0.05
_POINTS = 4


def look(history: History) -> Evidence | None:
    """Return evidence where the samples hardly move, and are not like real images."""
    moves, distance = history.last(MOVEMENT.name, _POINTS), history.value(REAL_DISTANCE.name)
    changes = history.last(GENERATOR_CHANGE.name, _POINTS)
    opposing = history.last(DISCRIMINATOR_CHANGE.name, _POINTS)
    if distance is None or distance < FAR or len(moves) < _POINTS or len(changes) < _POINTS:
        return None
    # Dead units may jump once.
    if sorted(moves)[-2] > MOST_MOVEMENT and sorted(changes)[-2] > LEAST_CHANGE:
        return None
    # A discriminator that still learns is another fault: it overpowers.
    if sorted(moves)[-2] > 10 * MOST_MOVEMENT or max(opposing, default=0.0) > MOST_OPPOSING_CHANGE:
        return None
    gradient = history.value(GENERATOR_GRADIENT.name)
    values = {MOVEMENT.name: moves[-1], REAL_DISTANCE.name: distance}
    if gradient is not None:
        values[GENERATOR_GRADIENT.name] = gradient
    return Evidence("No progress: samples stand still, far from real images", values)


RULE = Rule(
    name="no_progress",
    title="No progress",
    severity="serious",
    meaning="The samples no longer change, or hardly, and are nothing like real images.",
    threshold="cells move by less than 0.01 of the distance of two real images, or the generator's weights change "
    "by less than a hundred-thousandth an update, at three of four measurements, and the discriminator's by less "
    "than 0.0003 at all of them, at a distance to real images above 0.05",
    window=1,
    look=look,
    remedies=(
        remedies.leaky_for_relu,
        remedies.lower_rates_if_high,
        remedies.higher_rates_if_low,
        remedies.non_saturating_loss,
    ),
)
