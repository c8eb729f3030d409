"""Checkerboard artefacts of strided transposed convolutions (Odena et al., 2016)."""

from ganlib.evaluation.diagnosis import remedies
from ganlib.evaluation.diagnosis.history import History
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.vocabulary import CHECKERBOARD, KIND_SHARE

LEAST = 4.0
# The mean of samples that are alike shows the picture itself.
LEAST_SHARE = 0.2


def look(history: History) -> Evidence | None:
    """Return evidence where samples share a pattern of 2 or 4 pixels that real images have not."""
    strength, share = history.value(CHECKERBOARD.name), history.value(KIND_SHARE.name)
    if strength is None or share is None or share < LEAST_SHARE or strength < LEAST or history.is_early():
        return None
    return Evidence("Checkerboard: a pattern of 2 or 4 pixels in all cells", {CHECKERBOARD.name: strength})


RULE = Rule(
    name="checkerboard",
    title="Checkerboard artefacts",
    severity="note",
    meaning="All samples share a fine pattern that strided transposed convolutions leave and real images do not "
    "have.",
    threshold="4 times as strong as in real images, beside other fine detail",
    window=3,
    look=look,
    remedies=(remedies.even_kernels, remedies.more_iterations),
)
