"""Mode collapse: one kind of picture, whatever the latents (Goodfellow, 2016, NIPS tutorial, section 5.1.1)."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import DIVERSITY, KIND_SHARE, KINDS, MOVEMENT

MOST_KINDS = 2
# Of the diversity of real images; noise alone keeps samples from being equal.
LEAST_DIVERSITY = 0.1
FROZEN = 0.015


def look(history: History) -> Evidence | None:
    """Return evidence where all samples are of one or two kinds, and still change."""
    kinds, diversity = history.value(KINDS.name), history.value(DIVERSITY.name)
    if kinds is None or diversity is None:
        return None
    had_more = history.highest.get(KIND_SHARE.name, 0.0) > 0.2
    if history.is_early() and not had_more:
        return None
    if kinds > MOST_KINDS and diversity > LEAST_DIVERSITY:
        return None
    movement = history.value(MOVEMENT.name)
    if movement is not None and movement < FROZEN:
        return None
    count = int(kinds) if kinds <= MOST_KINDS else 1
    text = f"Collapsed: {history.sample_count} cells, {count} kind{'s' if count > 1 else ''}"
    return Evidence(text, {KINDS.name: kinds, DIVERSITY.name: diversity})


RULE = Rule(
    name="mode_collapse",
    title="Mode collapse",
    severity="serious",
    meaning="The generator draws one kind of picture, or two, whatever its latents are.",
    threshold="at most 2 kinds among 64 samples, or a diversity below 0.1 of real images', after the first 500 "
    "iterations or 40 % of them; sooner where there were more kinds before",
    window=2,
    look=look,
    remedies=(
        remedies.relu_for_sigmoid,
        remedies.minibatch_discrimination,
        remedies.smaller_advantage,
        remedies.lower_rates,
        remedies.batch_norm_in_generator,
    ),
)
