"""Labels without effect: a conditional generator whose samples do not follow the label that is asked for."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import KIND_SHARE, LABEL_AGREEMENT_SIGNAL, LABEL_EFFECT

LEAST_EFFECT = 0.25
LEAST_AGREEMENT = 0.45
LEAST_SHARE = 0.1
_POINTS = 3


def look(history: History) -> Evidence | None:
    """Return evidence where the label changes little, though samples differ, or samples are not of their class."""
    effects = history.last(LABEL_EFFECT.name, _POINTS)
    agreements = history.last(LABEL_AGREEMENT_SIGNAL.name, _POINTS)
    share = history.value(KIND_SHARE.name)
    if share is None or share < LEAST_SHARE or len(effects) < _POINTS or history.is_early():
        return None
    values = {LABEL_EFFECT.name: effects[-1]}
    if agreements:
        values[LABEL_AGREEMENT_SIGNAL.name] = agreements[-1]
    if max(effects) < LEAST_EFFECT:
        return Evidence("Labels are ignored: a sample hardly changes with its label", values)
    if len(agreements) == _POINTS and max(agreements) < LEAST_AGREEMENT:
        return Evidence("Samples do not follow their label", values)
    return None


RULE = Rule(
    name="label_ignored",
    title="Labels without effect",
    severity="serious",
    meaning="Samples of a conditional generator do not show the class that was asked for.",
    threshold="a sample moves by less than 0.25 of the distance of two real images when its label changes, or "
    "fewer "
    "than 0.45 times as many samples as real images are nearest to their class, at three measurements in a row",
    window=1,
    look=look,
    remedies=(
        remedies.labels_in_discriminator,
        remedies.auxiliary_classes,
        remedies.check_labels,
    ),
)
