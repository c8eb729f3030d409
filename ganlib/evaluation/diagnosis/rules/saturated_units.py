"""Saturated units: layers whose units give the ends of their range, or 0, for everything (Winkler, 2018)."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import (
    DISCRIMINATOR_DEAD,
    DISCRIMINATOR_SATURATED,
    GENERATOR_DEAD,
    GENERATOR_SATURATED,
    Metric,
)

LEAST_SATURATED = 0.9
LEAST_DEAD = 0.95
_FAMILIES: tuple[tuple[Metric, str, float], ...] = (
    (GENERATOR_DEAD, "dead", LEAST_DEAD),
    (DISCRIMINATOR_DEAD, "dead", LEAST_DEAD),
    (GENERATOR_SATURATED, "saturated", LEAST_SATURATED),
    (DISCRIMINATOR_SATURATED, "saturated", LEAST_SATURATED),
)


def look(history: History) -> Evidence | None:
    """Return evidence of the layer with the largest share."""
    worst: tuple[float, str, str, str] | None = None
    for family, word, least in _FAMILIES:
        for name, value in history.points[-1].values.items():
            if family.matches(name) and value >= least and (worst is None or value > worst[0]):
                layer = name.rpartition("_")[2]
                worst = (value, f"layer {layer} of the {family.player}", word, name)
    if worst is None:
        return None
    value, layer, word, name = worst
    return Evidence(f"{word.capitalize()} units: {value:.0%} of {layer}", {name: value})


RULE = Rule(
    name="saturated_units",
    title="Saturated or dead units",
    severity="warning",
    meaning="Nearly all units of a layer give an end of their range, or 0, for everything, and pass no gradient.",
    threshold="at least 90 % of what a sigmoid or tanh gives within 1 % of its ends, or 95 % of a layer's units "
    "dead",
    window=3,
    look=look,
    remedies=(
        remedies.relu_for_sigmoid,
        remedies.leaky_for_relu,
        remedies.lower_rates,
    ),
)
