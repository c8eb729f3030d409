"""A starved generator: hardly any gradient reaches it (Goodfellow et al., 2014, section 3)."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import DISCRIMINATOR_ACCURACY, GENERATOR_GRADIENT, GENERATOR_WEIGHTS, REAL_DISTANCE

LEAST_GRADIENT = 1e-5
LEAST_ACCURACY = 0.95
FAR = 0.1
_POINTS = 3


def look(history: History) -> Evidence | None:
    """Return evidence where the generator's gradient has vanished before a discriminator that is right."""
    gradients = history.last(GENERATOR_GRADIENT.name, _POINTS)
    told, weights = history.value(DISCRIMINATOR_ACCURACY.name), history.value(GENERATOR_WEIGHTS.name)
    distance = history.value(REAL_DISTANCE.name)
    if told is None or distance is None or not weights or len(gradients) < _POINTS:
        return None
    if told < LEAST_ACCURACY or distance < FAR or max(gradients) > LEAST_GRADIENT * weights:
        return None
    values = {GENERATOR_GRADIENT.name: gradients[-1], DISCRIMINATOR_ACCURACY.name: told}
    return Evidence("The generator starves: hardly any gradient reaches it", values)


RULE = Rule(
    name="generator_starved",
    title="Generator starved",
    severity="serious",
    meaning="The discriminator is so certain that hardly any gradient reaches the generator.",
    threshold="a gradient below a hundred-thousandth of the generator's weights at three measurements in a row, "
    "with a "
    "discriminator that tells 95 % apart",
    window=1,
    look=look,
    remedies=(
        remedies.non_saturating_loss,
        remedies.fewer_discriminator_steps,
        remedies.lower_discriminator_rate,
        remedies.label_smoothing,
        remedies.instance_noise,
    ),
)
