"""How the samples of a run are measured while it trains."""

from typing import Annotated, Literal

from pydantic import Field

from ganlib.numbers import Count, Fraction
from ganlib.sections.base import Section

# Data sets that there is a judge for.
JUDGED_DATASETS = ("mnist", "digits")

EvaluationMetric = Literal[
    "classifier_score",
    "class_coverage",
    "class_entropy",
    "class_shares",
    "certainty",
    "frechet_distance",
    "precision",
    "recall",
    "neighbour_distance",
]


class EvaluationSpec(Section):
    """Draw samples every so many iterations and let the data set's judge look at them.

    It changes nothing of the training, so a run may go on with another evaluation or without. least_share: the
    share of the samples from which on a class counts as covered.
    """

    every: Count
    samples: Annotated[Count, Field(ge=16, le=50_000)] = 1024
    metrics: Annotated[tuple[EvaluationMetric, ...], Field(min_length=1)] = (
        "classifier_score",
        "class_coverage",
        "class_entropy",
        "certainty",
    )
    least_share: Fraction = 0.01
