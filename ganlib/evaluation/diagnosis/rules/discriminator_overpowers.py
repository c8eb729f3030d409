"""A discriminator that is always right leaves its generator nothing to learn from (Arjovsky and Bottou, 2017)."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import DISCRIMINATOR_ACCURACY, REAL_DISTANCE

LEAST_ACCURACY = 0.99
FAR = 0.1
# The distance to real images falls by more than this share of itself where something is learnt.
LEAST_FALL = 0.15
_POINTS = 5


def look(history: History) -> Evidence | None:
    """Return evidence where the discriminator tells everything apart and samples come no nearer."""
    told = history.last(DISCRIMINATOR_ACCURACY.name, _POINTS)
    apart = history.last(REAL_DISTANCE.name, _POINTS)
    if len(told) < _POINTS or len(apart) < _POINTS or apart[-1] < FAR:
        return None
    # A single jump of a fast discriminator changes nothing for its generator.
    if sorted(told)[1] < LEAST_ACCURACY or history.has_still_discriminator():
        return None
    if min(apart[-2:]) < (1 - LEAST_FALL) * max(apart[:2]):
        return None
    values = {DISCRIMINATOR_ACCURACY.name: told[-1], REAL_DISTANCE.name: apart[-1]}
    return Evidence(f"The discriminator overpowers: it tells {told[-1]:.0%} apart", values)


RULE = Rule(
    name="discriminator_overpowers",
    title="Discriminator overpowers",
    severity="serious",
    meaning="The discriminator is always right, and the generator's samples come no nearer to real images.",
    threshold="at least 99 % told apart at four of five measurements, while the distance to real images stays "
    "above 0.1 and falls by less than 15 %, and the discriminator does not stand still",
    window=1,
    look=look,
    remedies=(
        remedies.fewer_discriminator_steps,
        remedies.lower_discriminator_rate,
        remedies.non_saturating_loss,
        remedies.instance_noise,
        remedies.generator_advantage,
        remedies.r1,
    ),
)
