"""Keeps evaluation classifiers on disk, a safetensors file each below the folder for cached data.

Weights carry their own names; the metadata holds one JSON object: format, facts, and a digest of the images that
it was trained and measured on. That digest is part of the file's name: other images under the name of the same
data set have a classifier of their own. Folder and key of the metadata are called `judges` and `ganvas_judge`, as
in the files of earlier versions.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ganlib.datasets import load_train_and_test
from ganlib.datasets.sources import cache_dir
from ganlib.evaluation.classifier.network import (
    CLASSIFIERS,
    ClassifierFacts,
    ClassifierNetwork,
    ClassifierRecipe,
    EvaluationClassifier,
)
from ganlib.evaluation.classifier.training import ClassifierAbandoned, train_evaluation_classifier, weights_of
from ganlib.runtime.files import store_file
from ganlib.training.checkpoint import digest_tensors

FORMAT = 1
_FOLDER, _METADATA = "judges", "ganvas_judge"
_LOOK_AGAIN_SECONDS = 0.2


class ClassifierDamaged(Exception):
    """A classifier's file cannot be used; the message says why."""


def classifier_path(name: str, images: str, recipe: ClassifierRecipe | None = None) -> Path:
    """Return the path of a data set's classifier; images: the digest of its images."""
    version = (recipe or CLASSIFIERS[name]).version
    return cache_dir() / _FOLDER / f"{name}-{version}-{images[:16]}.safetensors"


def digest_images(recipe: ClassifierRecipe) -> str:
    """Return a sha256 of the images and labels that a classifier is trained and measured on.

    Raises DatasetUnavailable.
    """
    parts = [part.fingerprint for part in load_train_and_test(recipe.dataset)]
    return hashlib.sha256("".join(part.pixels for part in parts if part).encode()).hexdigest()


def obtain_classifier(
    name: str,
    device: torch.device,
    say: Callable[[str], None],
    should_stop: Callable[[], bool],
    recipe: ClassifierRecipe | None = None,
) -> EvaluationClassifier:
    """Return the classifier of a data set, trained now if no earlier run has left it; a damaged file is replaced.

    recipe: by default the one of this name. Of several processes one trains and the others wait for it. Raises
    DatasetUnavailable, ClassifierAbandoned.
    """
    recipe = recipe or CLASSIFIERS[name]
    images = digest_images(recipe)
    path = classifier_path(name, images, recipe)
    if path.exists():
        try:
            return load_classifier(path, name, recipe, images, device)
        except ClassifierDamaged as error:
            say(f"The {name} classifier is trained anew: {error}")
    elif name in CLASSIFIERS and path.parent.is_dir() and any(path.parent.glob(f"{name}-[0-9]*.safetensors")):
        say(
            f"The {name} classifier kept here is of other images, or of an earlier version, so one is trained anew"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".lock").touch()
    except OSError as error:
        say(f"The {name} classifier cannot be kept ({error}), so it is trained for this run alone")
        return train_evaluation_classifier(name, recipe, device, say, should_stop)
    say_waiting = partial(say, f"Another process trains the {name} classifier; waiting for it")
    with _locked(path.with_suffix(".lock"), say_waiting, should_stop):
        try:
            # While this process waited for the lock, another one may have trained the classifier.
            return load_classifier(path, name, recipe, images, device)
        except ClassifierDamaged:
            classifier = train_evaluation_classifier(name, recipe, device, say, should_stop)
            _keep(classifier, images, path, say)
            return classifier


def _keep(classifier: EvaluationClassifier, images: str, path: Path, say: Callable[[str], None]) -> None:
    try:
        store_file(path.parent, path.name, partial(write_classifier, classifier, images))
    except (OSError, SafetensorError) as error:
        # A full disk: the next run has to train its classifier again, but this one can go on.
        say(f"The {classifier.facts.name} classifier cannot be kept ({error})")


def write_classifier(classifier: EvaluationClassifier, images: str, path: Path) -> None:
    """Write weights, facts and the digest of the images."""
    facts = json.dumps({"format": FORMAT, "images": images, **asdict(classifier.facts)}, sort_keys=True)
    save_file(weights_of(classifier.network), path, metadata={_METADATA: facts})


def load_classifier(
    path: Path, name: str, recipe: ClassifierRecipe, images: str, device: torch.device
) -> EvaluationClassifier:
    """Read a classifier; raises ClassifierDamaged where it is missing, damaged, or of another recipe or data."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            facts = json.loads((file.metadata() or {})[_METADATA])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if facts.pop("format") != FORMAT:
            raise ClassifierDamaged(f"{path.name} has another format")
        if facts.pop("images") != images:
            raise ClassifierDamaged(f"{path.name} was trained on other images")
        read = ClassifierFacts(**facts)
        if (read.name, read.version, read.digest) != (name, recipe.version, digest_tensors(tensors)):
            raise ClassifierDamaged(f"the weights in {path.name} are not those that it names")
        with torch.device("meta"):
            network = ClassifierNetwork(recipe)
        network.load_state_dict(tensors, assign=True)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ClassifierDamaged(f"{path.name} cannot be read ({error})") from error
    placed = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return EvaluationClassifier(read, placed, recipe.dataset.shape)


@contextmanager
def _locked(path: Path, say_waiting: Callable[[], None], should_stop: Callable[[], bool]) -> Iterator[None]:
    """Wait for the lock and hold it; the system drops it when this process dies. Raises ClassifierAbandoned."""
    has_said = False
    while True:
        try:
            lock = FileLock(path).acquire(blocking=False)
            break
        except Timeout:
            if not has_said:
                say_waiting()
            has_said = True
            if should_stop():
                raise ClassifierAbandoned from None
            time.sleep(_LOOK_AGAIN_SECONDS)
    with lock:
        yield
