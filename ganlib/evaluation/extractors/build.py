"""Builds the feature extractor that a run's evaluation asks for."""

from collections.abc import Callable

import torch
from torch import Tensor

from ganlib.evaluation.classifier.network import ClassifierRecipe, EvaluationClassifier
from ganlib.evaluation.classifier.recipes import find_recipe
from ganlib.evaluation.classifier.store import obtain_classifier
from ganlib.evaluation.extractors.extractor import Extracted, FeatureExtractor, Pixels, RandomNetwork
from ganlib.evaluation.extractors.inception import Inception
from ganlib.evaluation.extractors.points import BlobPoints
from ganlib.spec.sections.datasets import DatasetSpec, GaussiansSpec
from ganlib.spec.sections.evaluation import Extractor


class ClassifierFeatures(FeatureExtractor):
    """The data set's evaluation classifier: its classes, and the features before them."""

    def __init__(self, classifier: EvaluationClassifier, recipe: ClassifierRecipe) -> None:
        self.dataset = recipe.dataset
        self.name = classifier.facts.title
        self.facts = classifier.facts.results
        self.warning = classifier.facts.warning
        self._classifier = classifier

    def extract(self, images: Tensor) -> Extracted:
        """Return features (N, F) and probabilities (N, K)."""
        answers = self._classifier.classify(images)
        return Extracted(answers.features, answers.probabilities)


def obtain_extractor(
    chosen: Extractor,
    dataset: DatasetSpec,
    device: torch.device,
    say: Callable[[str], None],
    should_stop: Callable[[], bool],
) -> FeatureExtractor:
    """Return the extractor; a classifier is trained now if no earlier run has left it.

    Raises DatasetUnavailable, ExtractorUnavailable, and ClassifierAbandoned once should_stop says so.
    """
    match chosen, dataset:
        case "points", GaussiansSpec():
            return BlobPoints(dataset, device)
        case "inception", _:
            return Inception(dataset, device)
        case "random", _:
            return RandomNetwork(dataset, device)
        case "pixels", _:
            return Pixels(dataset)
    name, recipe = find_recipe(dataset)
    return ClassifierFeatures(obtain_classifier(name, device, say, should_stop, recipe), recipe)
