"""A judge: a classifier of real images, by whose answers generated ones are measured."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib.judges.recipes import JudgeRecipe
from ganlib.shapes import Shape

_CHUNK = 512


class JudgeNetwork(nn.Module):
    """Trunk to features (N, F), and a dense head to one logit a class (N, K)."""

    def __init__(self, recipe: JudgeRecipe) -> None:
        super().__init__()
        self.trunk = recipe.build()
        self.head = nn.Linear(recipe.feature_count, recipe.class_count)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, F) and logits (N, K) of images (N, C, H, W) in [-1, 1]."""
        features = self.trunk(images)
        return features, self.head(features)


@dataclass(frozen=True)
class JudgeFacts:
    """What must stand beside every figure that a judge gives.

    accuracy: share of the held-out images that it names rightly. real_score: classifier score of these images,
    which samples can hardly exceed. digest: sha256 of the weights.
    """

    name: str
    version: int
    accuracy: float
    held_out_count: int
    real_score: float
    digest: str

    def __str__(self) -> str:
        return (
            f"{self.name} judge, version {self.version} ({self.digest[:12]}): {self.accuracy:.2%} of "
            f"{self.held_out_count:,} held-out images right, their classifier score {self.real_score:.2f}"
        )


@dataclass(frozen=True)
class Verdict:
    """What a judge says of N images, on its device: probabilities (N, K) and features (N, F), float32."""

    probabilities: Tensor
    features: Tensor


class Judge:
    """A trained network in evaluation mode and in float32, whatever a run's precision."""

    def __init__(self, facts: JudgeFacts, network: JudgeNetwork, image_shape: Shape) -> None:
        self.facts = facts
        self.network = network.eval().requires_grad_(False)
        self._image_shape = image_shape

    @torch.no_grad()
    def judge_images(self, images: Tensor) -> Verdict:
        """Judge images uint8 (N, C, H, W) on the judge's device, without waiting for it.

        Images of another height or width than the judge's own are resized to it.
        """
        answers = [self.network(prepare_images(chunk, self._image_shape)) for chunk in torch.split(images, _CHUNK)]
        features, logits = (torch.cat(parts) for parts in zip(*answers, strict=True))
        return Verdict(logits.softmax(1), features)


def prepare_images(images: Tensor, shape: Shape) -> Tensor:
    """Return images uint8 (N, C, H, W) as float32 in [-1, 1], resized to the shape (C, H, W) where they differ."""
    pixels = images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
    if images.shape[2:] != shape[1:]:
        pixels = functional.interpolate(pixels, size=shape[1:], mode="bilinear", antialias=True)
    return pixels
