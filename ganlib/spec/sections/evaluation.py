"""The evaluation of a run's samples, and classifier transfer from its discriminator."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, GetPydanticSchema, model_validator
from pydantic_core import core_schema

from ganlib.errors import Problem
from ganlib.spec.fields import Count, Fraction, Section
from ganlib.spec.layers import LayerSpec
from ganlib.spec.sections.datasets import DatasetSpec
from ganlib.spec.sections.networks import MAX_LAYERS
from ganlib.spec.sections.optimisers import AdamSpec, OptimiserSpec
from ganlib.vocabulary import (
    ANSWERS_NEEDED,
    CERTAINTY,
    CLASS_COVERAGE,
    CLASS_ENTROPY,
    CLASSIFIER_SCORE,
    COVERAGE,
    DENSITY,
    EVALUATION_METRICS,
    FRECHET_DISTANCE,
    HIGH_QUALITY,
    MODES,
    Answer,
)

# Data sets whose evaluation classifier has a recipe of its own; folders with classes have one for all.
CLASSIFIED_DATASETS = ("mnist", "digits", "cifar10")

Extractor = Literal["classifier", "points", "inception", "random", "pixels"]
# What each says of an image.
ANSWERS: Mapping[Extractor, frozenset[Answer]] = {
    "classifier": frozenset({"classes", "features"}),
    "points": frozenset({"classes", "features", "points"}),
    "inception": frozenset({"features"}),
    "random": frozenset({"features"}),
    "pixels": frozenset({"features"}),
}
_BY_CLASSES = (CLASSIFIER_SCORE, CLASS_COVERAGE, CLASS_ENTROPY, CERTAINTY)
_BY_FEATURES = (FRECHET_DISTANCE, DENSITY, COVERAGE)
_BY_POINTS = (MODES, HIGH_QUALITY, FRECHET_DISTANCE)
# A Literal of the names in the vocabulary.
EvaluationMetric = Annotated[
    str, GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema(list(EVALUATION_METRICS)))
]


class EvaluationSpec(Section):
    """Draw samples every so many iterations and measure them, mostly by what a feature extractor says of them.

    It changes nothing of the training, so a run may be resumed with another evaluation or without. extractor:
    `auto` is the data set's own, see `choose_extractor`. metrics: without them, those that the extractor is best
    at. least_share: the share of the samples from which on a class counts as covered. neighbour_grid: whether the
    training images nearest to the sample grid's are saved as a grid of their own.
    """

    every: Count
    samples: Annotated[Count, Field(ge=16, le=50_000)] = 1024
    extractor: Literal["auto", "classifier", "points", "inception", "random", "pixels"] = "auto"
    metrics: Annotated[tuple[EvaluationMetric, ...], Field(min_length=1)] = tuple(m.asked_as for m in _BY_CLASSES)
    least_share: Fraction = 0.01
    neighbour_grid: bool = False

    @property
    def needs_extractor(self) -> bool:
        """Whether any of the metrics is computed from what an extractor says of images."""
        return any(ANSWERS_NEEDED[name] for name in self.metrics)

    def choose_extractor(self, dataset: DatasetSpec) -> Extractor:
        """Return the extractor: a mixture's points, a classifier where the classes are known, or a random network.

        What `auto` is depends on the data set alone, not on what a machine has, so that runs compare.
        """
        if self.extractor != "auto":
            return self.extractor
        if dataset.name == "gaussians":
            return "points"
        return "classifier" if dataset.class_count > 1 else "random"

    def complete(self, dataset: DatasetSpec) -> "EvaluationSpec":
        """Return it with the metrics that the extractor is best at, where none are given."""
        if "metrics" in self.model_fields_set:
            return self
        answers = ANSWERS[self.choose_extractor(dataset)]
        chosen = _BY_POINTS if "points" in answers else _BY_CLASSES if "classes" in answers else _BY_FEATURES
        return self.model_copy(update={"metrics": tuple(metric.asked_as for metric in chosen)})

    def find_problem(self, dataset: DatasetSpec) -> Problem | None:
        """What the metrics need, the extractor must say, and the data set must be one that it can look at."""
        name = self.choose_extractor(dataset)
        message = _find_unfit(name, dataset)
        if message:
            return Problem("evaluation.extractor", name, message)
        for index, metric in enumerate(self.metrics):
            answer = ANSWERS_NEEDED[metric]
            if answer and answer not in ANSWERS[name]:
                able = [other for other, answers in ANSWERS.items() if answer in answers]
                fit = [m for m, needed in ANSWERS_NEEDED.items() if not needed or needed in ANSWERS[name]]
                message = (
                    f"{_ANSWER_WORDS[answer]}, which the extractor {name} does not give; of extractors, "
                    f"{' and '.join(able)} can. Metrics of {name}: {', '.join(fit)}"
                )
                return Problem(f"evaluation.metrics.{index}", metric, message)
        return None


_ANSWER_WORDS: Mapping[Answer, str] = {
    "classes": "it needs the class of a sample",
    "features": "it needs features",
    "points": "it needs points of a mixture of gaussians",
}


def _find_unfit(name: Extractor, dataset: DatasetSpec) -> str:
    """Return why the extractor cannot look at images of the data set, or ""."""
    if name == "points" and dataset.name != "gaussians":
        return f"points are found in pictures of gaussians alone, not of {dataset.name}"
    if name == "classifier" and dataset.name == "gaussians":
        return "the mixture itself says which mode a point is of: leave extractor out, or choose points"
    if name == "classifier" and dataset.class_count < 2:
        return "a classifier needs classes: give dataset.classes, 2 or more, or choose random or pixels"
    return ""


class TransferSpec(Section):
    """Train classifiers on the discriminator's first layers while it learns, and the same one from scratch.

    After `every` so many iterations of the GAN, or `at` these, and after its last, a copy of the discriminator's
    first `kept_layers` layers gets a new `head` and learns classes from `labels` training images, as many of each
    class, for `iterations` steps of its own; then it tells those of all test images. It changes nothing of the
    GAN's training, so a run may go on with another transfer or without.

    frozen: the kept layers stay exactly as they are, batch norm's statistics too; only the head learns. points:
    how often, evenly spread over the steps, the classifier is measured.
    """

    every: Count | None = None
    at: Annotated[tuple[Count, ...], Field(max_length=1000)] = ()
    kept_layers: Count
    head: Annotated[tuple[LayerSpec, ...], Field(min_length=1, max_length=MAX_LAYERS)]
    labels: Annotated[Count, Field(le=10_000_000)]
    iterations: Annotated[Count, Field(le=1_000_000)] = 1000
    batch_size: Annotated[Count, Field(ge=2, le=4096)] = 64
    optimiser: OptimiserSpec = AdamSpec()
    frozen: bool = False
    points: Annotated[Count, Field(le=20)] = 4

    @model_validator(mode="after")
    def check_times(self) -> Self:
        """One way to say when is enough."""
        if self.every is not None and self.at:
            raise ValueError("@transfer.at@give either every or at, not both")
        return self

    @property
    def measured_steps(self) -> list[int]:
        """The steps after which the classifier is measured; the last of them is `iterations`."""
        steps = {self.iterations * point // self.points for point in range(1, self.points + 1)}
        return sorted(steps - {0})

    def is_due(self, iteration: int, last_iteration: int) -> bool:
        """Whether classifiers are trained after this iteration of the GAN, whose first is 1."""
        if iteration == last_iteration or iteration in self.at:
            return iteration > 0
        return self.every is not None and iteration > 0 and iteration % self.every == 0
