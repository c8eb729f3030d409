"""Data sets: real images by name, whole and small enough to lie on the device as bytes."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ganlib.datasets.digits import load_digits
from ganlib.datasets.mnist import load_mnist
from ganlib.errors import DatasetUnavailable
from ganlib.sections.datasets import DatasetSpec

# Each returns images (N, C, H, W) as float32 in [0, 255].
DATASETS: dict[str, Callable[[], Tensor]] = {
    "digits": load_digits,
    "mnist": load_mnist,
}


def load_images(spec: DatasetSpec, device: torch.device) -> Tensor:
    """Return all images of the data set as uint8 (N, C, H, W) on the device; raises DatasetUnavailable."""
    images = DATASETS[spec.name]()
    if images.shape[1:] != spec.shape:
        images = functional.interpolate(images, size=spec.shape[1:], mode="bilinear", antialias=True)
    return images.round().clamp(0, 255).to(torch.uint8).to(device)


def find_problem(name: str) -> str | None:
    """Return why the data set cannot be had, in one sentence, or None when it can; may download it."""
    try:
        DATASETS[name]()
    except DatasetUnavailable as error:
        return str(error)
    return None


def is_available(name: str) -> bool:
    """Whether the data set can be had; may download it."""
    return find_problem(name) is None


def gather_images(images: Tensor, indices: Tensor) -> Tensor:
    """Return the images at the indices (N,) as float32 (N, C, H, W) in [-1, 1]: 2·value/255 - 1."""
    chosen = images.index_select(0, indices)
    return chosen.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
