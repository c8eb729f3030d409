"""Partial collapse: few kinds of pictures where the data have many (Metz et al., 2017, section 1)."""

from statistics import median

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.evaluation.diagnosis.rules.mode_collapse import LEAST_DIVERSITY, MOST_KINDS
from ganlib.vocabulary import DIVERSITY, KIND_SHARE, KINDS

LEAST_SHARE = 0.2
LARGEST_RISE = 1.5
_POINTS = 4


def look(history: History) -> Evidence | None:
    """Return evidence where samples are of far fewer kinds than real images, but not always of one or two."""
    kinds, share, diversity = (history.value(metric.name) for metric in (KINDS, KIND_SHARE, DIVERSITY))
    if kinds is None or share is None or diversity is None or history.is_early(back=_POINTS - 1):
        return None
    if max(history.last(KINDS.name, 2)) <= MOST_KINDS or diversity <= LEAST_DIVERSITY or history.may_be_slow():
        return None
    recent = history.last(KIND_SHARE.name, _POINTS)
    if len(recent) < _POINTS or median(recent) > LEAST_SHARE:
        return None
    # Sums, because kinds that change between one and five rise again and again.
    if sum(recent[2:]) > LARGEST_RISE * sum(recent[:2]):
        return None
    text = f"Few kinds: {history.sample_count} cells, {int(kinds)} kind{'s' if kinds > 1 else ''}"
    return Evidence(text, {KINDS.name: kinds, KIND_SHARE.name: share})


RULE = Rule(
    name="partial_collapse",
    title="Partial collapse",
    severity="warning",
    meaning="The generator draws far fewer kinds of pictures than there are among real images.",
    threshold="a median over four measurements, after the first 500 iterations or 40 %, below 0.2 of the kinds of "
    "real images, which does not rise; after 2,000 iterations where cells move by less than 0.3 of the distance "
    "of two real images and there never were 0.4 of the kinds",
    window=2,
    look=look,
    remedies=(
        remedies.minibatch_discrimination,
        remedies.smaller_advantage,
        remedies.lower_generator_rate,
        remedies.batch_norm_in_generator,
    ),
)
