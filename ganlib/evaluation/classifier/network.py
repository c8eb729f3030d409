"""The evaluation classifiers: networks that tell real images apart, by whose answers samples are measured."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib.spec.sections.datasets import Cifar10Spec, DatasetSpec, DigitsSpec, MnistSpec
from ganlib.spec.shapes import Shape


@dataclass(frozen=True)
class ClassifierRecipe:
    """A small convolutional classifier and its training.

    dataset: the images as the classifier sees them. build: returns the trunk, images (N, C, H, W) in [-1, 1] →
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


def build_picture_trunk(channels: int, side: int) -> nn.Module:
    """channels×side×side → 32, 64 and 128 channels, each half as wide and high as before → 128 features."""
    blocks: list[nn.Module] = []
    for outputs in (32, 64, 128):
        blocks += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
        channels, side = outputs, -(-side // 2)
    return nn.Sequential(
        *blocks,
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(channels * side * side, 128, bias=False),
        nn.BatchNorm1d(128),
        nn.ReLU(),
    )


CLASSIFIERS: dict[str, ClassifierRecipe] = {
    "mnist": ClassifierRecipe(
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
    "digits": ClassifierRecipe(
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
    "cifar10": ClassifierRecipe(
        version=1,
        dataset=Cifar10Spec(),
        class_count=10,
        feature_count=128,
        build=partial(build_picture_trunk, 3, 32),
        epochs=8,
        batch_size=128,
        learning_rate=0.004,
        shift=2,
    ),
}


_CHUNK = 512


class ClassifierNetwork(nn.Module):
    """Trunk to features (N, F), and a dense head to one logit a class (N, K)."""

    def __init__(self, recipe: ClassifierRecipe) -> None:
        super().__init__()
        self.trunk = recipe.build()
        self.head = nn.Linear(recipe.feature_count, recipe.class_count)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, F) and logits (N, K) of images (N, C, H, W) in [-1, 1]."""
        features = self.trunk(images)
        return features, self.head(features)


@dataclass(frozen=True)
class ClassifierFacts:
    """The facts that belong beside every number that a classifier gives.

    accuracy: share of the held-out images whose class it gives. real_score: classifier score of these images,
    which samples can hardly exceed. digest: sha256 of the weights. chance: share of the held-out images that are
    of the commonest class, which naming that one always would get.
    """

    name: str
    version: int
    accuracy: float
    held_out_count: int
    real_score: float
    digest: str
    chance: float = 0.0

    @property
    def title(self) -> str:
        """What it is called, with what it is known by."""
        return f"{self.name} classifier, version {self.version} ({self.digest[:12]})"

    @property
    def results(self) -> str:
        """How good it is, in words."""
        return (
            f"{self.accuracy:.2%} of {self.held_out_count:,} held-out images right, their classifier score "
            f"{self.real_score:.2f}"
        )

    @property
    def warning(self) -> str:
        """A sentence for a person where the classifier is not even half way from chance to certainty, else ""."""
        if self.accuracy >= (1 + self.chance) / 2:
            return ""
        return (
            f"The {self.name} classifier is a bad one: it tells the class of {self.accuracy:.0%} of the held-out "
            f"images, where naming the commonest one always would get {self.chance:.0%}. What is measured by it "
            "says little; more images of each class help, or another evaluation.extractor, such as random."
        )

    def __str__(self) -> str:
        return f"{self.title}: {self.results}"


@dataclass(frozen=True)
class Answers:
    """The answers to N images, on the classifier's device: probabilities (N, K) and features (N, F), float32."""

    probabilities: Tensor
    features: Tensor


class EvaluationClassifier:
    """A trained network in evaluation mode and in float32, whatever a run's precision."""

    def __init__(self, facts: ClassifierFacts, network: ClassifierNetwork, image_shape: Shape) -> None:
        self.facts = facts
        self.network = network.eval().requires_grad_(False)
        self._image_shape = image_shape

    @torch.no_grad()
    def classify(self, images: Tensor) -> Answers:
        """Classify images uint8 (N, C, H, W) on the classifier's device, without waiting for it.

        Images of another height or width than the classifier's own are resized to it.
        """
        outputs = [self.network(prepare_images(chunk, self._image_shape)) for chunk in torch.split(images, _CHUNK)]
        features, logits = (torch.cat(parts) for parts in zip(*outputs, strict=True))
        return Answers(logits.softmax(1), features)


def prepare_images(images: Tensor, shape: Shape) -> Tensor:
    """Return images uint8 (N, C, H, W) as float32 in [-1, 1], resized to the shape (C, H, W) where they differ."""
    pixels = images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
    if images.shape[2:] != shape[1:]:
        pixels = functional.interpolate(pixels, size=shape[1:], mode="bilinear", antialias=True)
    return pixels
