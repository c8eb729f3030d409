"""The form of a feature extractor, and the two that need neither training nor files: random network and pixels."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib.runtime.random_streams import make_generator
from ganlib.spec.sections.datasets import DatasetSpec
from ganlib.training.checkpoint import digest_tensors

_CHUNK = 512


@dataclass(frozen=True)
class Extracted:
    """What an extractor says of N images, on their device.

    features: float32 (N, F). probabilities: (N, K), where it tells classes. points: (N, 2), NaN where the picture
    is no point, where it finds points.
    """

    features: Tensor
    probabilities: Tensor | None = None
    points: Tensor | None = None


class FeatureExtractor(Protocol):
    """Looks at images; figures of two extractors are never compared.

    name: with its version and the digest of what it computes with, so that equal names give equal features. facts:
    more about it for a person, "" without. dataset: whose held-out images samples are compared with. warning: a
    sentence where its figures say little, else "".
    """

    name: str
    facts: str
    dataset: DatasetSpec
    warning: str

    def extract(self, images: Tensor) -> Extracted:
        """Look at images uint8 (N, C, H, W), without waiting for their device."""
        ...


def describe_extractor(extractor: FeatureExtractor) -> str:
    """Return name and facts for a person."""
    return f"{extractor.name}: {extractor.facts}" if extractor.facts else extractor.name


_RANDOM_VERSION = 1
_RANDOM_SIDE = 32
_RANDOM_CHANNELS = (32, 64, 128)
_RANDOM_FEATURES = 64


class RandomNetwork(FeatureExtractor):
    """64 features of a convolutional network with random weights, the same on every machine.

    Naeem et al. (2020) measure images unlike ImageNet's by such features, of a random VGG16. Here it is three
    times 3 × 3 convolution, ReLU and maximum over 2 × 2, of images resized to 32 × 32, and one dense layer;
    weights are normal with variance 2 / inputs (He et al., 2015).
    """

    warning = ""

    def __init__(self, dataset: DatasetSpec, device: torch.device) -> None:
        self.dataset = dataset
        channels = dataset.shape[0]
        generator = make_generator(torch.device("cpu"), _RANDOM_VERSION, "random features", channels)
        weights = {}
        for index, (inputs, outputs) in enumerate(
            zip((channels, *_RANDOM_CHANNELS), _RANDOM_CHANNELS, strict=False)
        ):
            weights[f"conv.{index}"] = _draw_weights((outputs, inputs, 3, 3), generator)
        flat = _RANDOM_CHANNELS[-1] * (_RANDOM_SIDE // 2 ** len(_RANDOM_CHANNELS)) ** 2
        weights["dense"] = _draw_weights((_RANDOM_FEATURES, flat), generator)
        self.name = f"random network, version {_RANDOM_VERSION} ({digest_tensors(weights)[:12]})"
        self.facts = f"{_RANDOM_FEATURES} features, nothing is trained"
        *self._convolutions, self._dense = (tensor.to(device) for tensor in weights.values())

    @torch.no_grad()
    def extract(self, images: Tensor) -> Extracted:
        """Return features (N, 64)."""
        return Extracted(torch.cat([self._extract(chunk) for chunk in torch.split(images, _CHUNK)]))

    def _extract(self, images: Tensor) -> Tensor:
        values = resize_floats(images, _RANDOM_SIDE).div_(127.5).sub_(1)
        for weights in self._convolutions:
            values = functional.max_pool2d(functional.conv2d(values, weights, padding=1).relu_(), 2)
        return values.flatten(1) @ self._dense.T


def _draw_weights(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    weights = torch.empty(shape)
    nn.init.kaiming_normal_(weights, generator=generator)
    return weights


def resize_floats(images: Tensor, side: int) -> Tensor:
    """Return images uint8 (N, C, H, W) as float32 (N, C, side, side), from 0 to 255."""
    pixels = images.float()
    if images.shape[2:] != (side, side):
        return functional.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    return pixels


_PIXELS_VERSION = 1
_PIXELS_SIDE = 8


class Pixels(FeatureExtractor):
    """The pixels themselves, from 0 to 1, of images made 8 × 8 by averaging: coarse, and blind to detail."""

    name = f"pixels, version {_PIXELS_VERSION}"
    facts = f"of images made {_PIXELS_SIDE}×{_PIXELS_SIDE}"
    warning = ""

    def __init__(self, dataset: DatasetSpec) -> None:
        self.dataset = dataset

    @torch.no_grad()
    def extract(self, images: Tensor) -> Extracted:
        """Return features (N, 64 · channels)."""
        return Extracted(functional.adaptive_avg_pool2d(images.float(), _PIXELS_SIDE).flatten(1) / 255)
