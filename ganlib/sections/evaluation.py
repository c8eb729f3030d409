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
    "label_agreement",
    "accuracy",
]
# Metrics that need no judge.
WITHOUT_JUDGE: frozenset[EvaluationMetric] = frozenset({"neighbour_distance", "accuracy"})


class EvaluationSpec(Section):
    """Draw samples every so many iterations and let the data set's judge look at them.

    It changes nothing of the training, so a run may go on with another evaluation or without. least_share: the
    share of the samples from which on a class counts as covered. neighbour_grid: whether the training images
    nearest to the sample grid's are saved as a grid of their own.
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
    neighbour_grid: bool = False

    @property
    def needs_judge(self) -> bool:
        """Whether any of the metrics is what the data set's judge says."""
        return not WITHOUT_JUDGE.issuperset(self.metrics)
