"""Real images with their classes, in a part to train a judge on and a held-out part to test it on."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganlib.datasets import load_images
from ganlib.datasets.mnist import find_mnist
from ganlib.errors import DatasetUnavailable
from ganlib.sections.datasets import DigitsSpec


@dataclass(frozen=True)
class Labelled:
    """Images uint8 (N, C, H, W) and classes int64 (N,), on the CPU."""

    images: Tensor
    classes: Tensor


@dataclass(frozen=True)
class LabelledParts:
    """A part to train on and a held-out part that training never sees."""

    training: Labelled
    held_out: Labelled


def load_labelled_mnist() -> LabelledParts:
    """Return MNIST's 60,000 training and 10,000 test images; raises DatasetUnavailable."""
    # Imported here because torchvision takes a second to load and only this data set needs it.
    from torchvision.datasets import MNIST

    root = find_mnist()
    try:
        parts = [MNIST(str(root), train=train) for train in (True, False)]
    except (RuntimeError, OSError, ValueError, AssertionError) as error:
        raise DatasetUnavailable(f"MNIST in {Path(root) / 'MNIST'} cannot be read to judge by: {error}") from error
    training, held_out = (Labelled(part.data.unsqueeze(1), part.targets) for part in parts)
    return LabelledParts(training, held_out)


def load_labelled_digits() -> LabelledParts:
    """Return scikit-learn's digits: every sixth image, 300 of 1,797, is held out."""
    # Imported here because scikit-learn takes a second to load and only this data set needs it.
    from sklearn import datasets

    images = load_images(DigitsSpec(), torch.device("cpu"))
    classes = torch.as_tensor(datasets.load_digits(return_X_y=True)[1], dtype=torch.int64)
    held_out = torch.arange(len(images)) % 6 == 0
    return LabelledParts(
        Labelled(images[~held_out], classes[~held_out]), Labelled(images[held_out], classes[held_out])
    )
