"""Which classifier measures the samples of a data set: one with a recipe of its own, or one made for a folder."""

from dataclasses import replace
from functools import partial
from math import ceil

from ganlib.datasets import load_train_and_test
from ganlib.evaluation.classifier.network import CLASSIFIERS, ClassifierRecipe, build_picture_trunk
from ganlib.spec.sections.datasets import Cifar10Spec, DatasetSpec, FolderSpec

_VERSION = 1
# Larger pictures are made smaller first: their classes show all the same, and a processor is enough.
_MOST_SIDE = 32
_STEPS = 2000
_LEAST_EPOCHS, _MOST_EPOCHS = 2, 40
_MOST_BATCH, _LEAST_BATCHES = 64, 8


def find_recipe(dataset: DatasetSpec) -> tuple[str, ClassifierRecipe]:
    """Return the classifier's name and recipe; raises DatasetUnavailable for a folder that cannot be read.

    A label budget or a held-out part of the run's own changes nothing of it.
    """
    if isinstance(dataset, FolderSpec):
        return _make_for_folder(dataset)
    recipe = CLASSIFIERS[dataset.name]
    if isinstance(dataset, Cifar10Spec) and dataset.colour == "grey":
        trunk = partial(build_picture_trunk, 1, 32)
        return "cifar10-grey", replace(recipe, dataset=Cifar10Spec(colour="grey"), build=trunk)
    return dataset.name, recipe


def _make_for_folder(dataset: FolderSpec) -> tuple[str, ClassifierRecipe]:
    """Return the recipe for a folder of classes: about as many steps however many images there are."""
    side = min(dataset.size, _MOST_SIDE)
    seen = FolderSpec(path=dataset.path, size=side, colour=dataset.colour)
    training, _ = load_train_and_test(seen)
    batch_size = max(2, min(_MOST_BATCH, len(training.labels) // _LEAST_BATCHES))
    epochs = ceil(_STEPS / max(1, len(training.labels) // batch_size))
    recipe = ClassifierRecipe(
        version=_VERSION,
        dataset=seen,
        class_count=len(training.class_names),
        feature_count=128,
        build=partial(build_picture_trunk, seen.shape[0], side),
        epochs=min(max(epochs, _LEAST_EPOCHS), _MOST_EPOCHS),
        batch_size=batch_size,
        learning_rate=0.004,
        shift=max(1, side // 12),
    )
    return f"folder-{dataset.colour}-{side}", recipe
