"""A discriminator that is always right leaves its generator nothing to learn from (Arjovsky and Bottou, 2017)."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import DISCRIMINATOR_ACCURACY, DISCRIMINATOR_LOSS, GENERATOR_LOSS, KINDS, REAL_DISTANCE

LEAST_ACCURACY = 0.99
FAR = 0.1
# The distance to real images falls by more than this share of itself where something is learnt.
LEAST_FALL = 0.15
_POINTS = 5
# Of a loop of somebody's own, whose logits are not known: the losses at so many measurements in a row.
MOST_LOSS, LEAST_GENERATOR_LOSS, MOST_KINDS_SHARE = 0.02, 3.0, 0.2
_LOSS_POINTS = 10


def look(history: History) -> Evidence | None:
    """Return evidence where the discriminator tells everything apart and samples come no nearer."""
    if history.facts.get("is_own"):
        return _look_at_losses(history)
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


def _look_at_losses(history: History) -> Evidence | None:
    """Return evidence where a discriminator's loss stays near 0, the generator's is large, and kinds are few."""
    discriminator = history.last(DISCRIMINATOR_LOSS.name, _LOSS_POINTS)
    generator = history.last(GENERATOR_LOSS.name, _LOSS_POINTS)
    if (
        history.facts.get("is_critic")
        or history.is_early()
        or min(len(discriminator), len(generator)) < _LOSS_POINTS
    ):
        return None
    if min(discriminator) < 0 or max(discriminator) > MOST_LOSS or min(generator) < LEAST_GENERATOR_LOSS:
        return None
    kinds = history.value(KINDS.name)
    if kinds is not None and kinds > MOST_KINDS_SHARE * history.sample_count:
        return None
    values = {DISCRIMINATOR_LOSS.name: discriminator[-1], GENERATOR_LOSS.name: generator[-1]}
    text = (
        f"The discriminator overpowers: its loss is {discriminator[-1]:.2g}, the generator's {generator[-1]:.2f}"
    )
    return Evidence(text, values)


RULE = Rule(
    name="discriminator_overpowers",
    title="Discriminator overpowers",
    severity="serious",
    meaning="The discriminator is always right, and the generator's samples come no nearer to real images.",
    threshold="at least 99 % told apart at four of five measurements, while the distance to real images stays "
    "above 0.1 and falls by less than 15 %, and the discriminator does not stand still; of a loop of one's own, a "
    "discriminator loss of at most 0.02 beside a generator loss of 3 at ten measurements, and few kinds",
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
