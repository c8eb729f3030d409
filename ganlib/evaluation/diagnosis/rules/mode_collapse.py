"""Mode collapse: one kind of picture, whatever the latents (Goodfellow, 2016, NIPS tutorial, section 5.1.1)."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import DIVERSITY, KIND_SHARE, KINDS, MOVEMENT

MOST_KINDS = 2
# Of the diversity of real images; noise alone keeps samples from being equal.
LEAST_DIVERSITY = 0.1
FROZEN = 0.015
# Cells that differ a little may be those of networks that have not learnt yet; equal ones need less time.
EARLY_IF_EQUAL, EARLY = 350, 500


def look(history: History) -> Evidence | None:
    """Return evidence where all samples are of one or two kinds, and still change."""
    kinds, diversity = history.value(KINDS.name), history.value(DIVERSITY.name)
    if kinds is None or diversity is None:
        return None
    are_equal = diversity <= LEAST_DIVERSITY
    if kinds > MOST_KINDS and not are_equal:
        return None
    had_more = history.highest.get(KIND_SHARE.name, 0.0) > 0.2
    if not had_more and history.is_early(EARLY_IF_EQUAL if are_equal else EARLY):
        return None
    if not are_equal and history.may_be_slow():
        return None
    movement = history.value(MOVEMENT.name)
    if (movement is not None and movement < FROZEN) or history.has_still_generator():
        return None
    count = int(kinds) if kinds <= MOST_KINDS else 1
    text = f"Collapsed: {history.sample_count} cells, {count} kind{'s' if count > 1 else ''}"
    return Evidence(text, {KINDS.name: kinds, DIVERSITY.name: diversity})


RULE = Rule(
    name="mode_collapse",
    title="Mode collapse",
    severity="serious",
    meaning="The generator draws one kind of picture, or two, whatever its latents are.",
    threshold="at most 2 kinds among 64 samples, after the first 500 iterations or 40 % of them, or after 2,000 "
    "where cells move by less than 0.3 of the distance of two real images between measurements; or a diversity "
    "below 0.1 of real images', after the first 350 or 40 %; sooner where there were more kinds before",
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
