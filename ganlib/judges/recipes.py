"""How the judge of each data set is made. Whatever changes a judge's weights raises its version."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ganlib.sections.datasets import DatasetSpec, DigitsSpec, MnistSpec


@dataclass(frozen=True)
class JudgeRecipe:
    """A small convolutional classifier and its training.

    dataset: the images as the judge sees them. build: returns the trunk, images (N, C, H, W) in [-1, 1] →
    features (N, feature_count), with weights from torch's global generator. shift: images are moved by up to that
    many pixels each way while training.
    """

    version: int
    dataset: DatasetSpec
    class_count: int
    feature_count: int
    build: Callable[[], nn.Module]
    epochs: int
    batch_size: int
    learning_rate: float
    shift: int


def _build_mnist_trunk() -> nn.Module:
    """1×28×28 → 24×24 → 12×12 → 8×8 → 4×4 → 128 features."""
    return nn.Sequential(
        nn.Conv2d(1, 24, 5, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(24, 48, 5, bias=False),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(48 * 4 * 4, 128, bias=False),
        nn.BatchNorm1d(128),
        nn.ReLU(),
    )


def _build_digits_trunk() -> nn.Module:
    """1×8×8 → 8×8 → 4×4 → 64 features."""
    return nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Conv2d(24, 48, 3, padding=1, bias=False),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(48 * 4 * 4, 64, bias=False),
        nn.BatchNorm1d(64),
        nn.ReLU(),
    )


JUDGES: dict[str, JudgeRecipe] = {
    "mnist": JudgeRecipe(
        version=1,
        dataset=MnistSpec(),
        class_count=10,
        feature_count=128,
        build=_build_mnist_trunk,
        epochs=4,
        batch_size=128,
        learning_rate=0.004,
        shift=2,
    ),
    "digits": JudgeRecipe(
        version=1,
        dataset=DigitsSpec(),
        class_count=10,
        feature_count=64,
        build=_build_digits_trunk,
        epochs=30,
        batch_size=64,
        learning_rate=0.004,
        shift=1,
    ),
}
