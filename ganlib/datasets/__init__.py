"""Data sets: real images by name, whole and small enough to lie on the device as bytes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional

from ganlib.datasets.cifar10 import load_cifar10
from ganlib.datasets.digits import load_digits
from ganlib.datasets.folder import load_folder, to_grey
from ganlib.datasets.gaussians import load_gaussians
from ganlib.datasets.labelled import (
    Fingerprint,
    LabelledImages,
    Split,
    choose_labelled,
    hold_out,
    take_fingerprint,
    warn_of_gaps,
)
from ganlib.datasets.mnist import load_mnist
from ganlib.datasets.sources import show_names
from ganlib.errors import DatasetUnavailable
from ganlib.spec.sections.datasets import DatasetSpec

__all__ = [
    "DATASETS", "Fingerprint", "LabelledImages", "choose_labelled", "find_problem", "gather_images",
    "is_available", "load_images", "load_train_and_test", "load_training", "show_names", "to_floats",
]  # fmt: skip

# Each takes its own spec and returns images and labels of a part as they lie on disk (a folder's at the size of
# the spec), or None where the data set comes without that part. Raises DatasetUnavailable.
DATASETS: dict[str, Callable[[Any, Split], LabelledImages | None]] = {
    "mnist": load_mnist,
    "digits": load_digits,
    "cifar10": load_cifar10,
    "folder": load_folder,
    "gaussians": load_gaussians,
}

_CHUNK = 1024
_adapter: TypeAdapter[DatasetSpec] = TypeAdapter(DatasetSpec)


def load_training(spec: DatasetSpec) -> LabelledImages:
    """Return the training images in the shape that the spec gives; raises DatasetUnavailable."""
    data = DATASETS[spec.name](spec, "train")
    if data is None:
        raise DatasetUnavailable(f"The data set {spec.name} has no images to train on.")
    return _fit(data, spec)


def load_train_and_test(spec: DatasetSpec) -> tuple[LabelledImages, LabelledImages]:
    """Return a part to learn classes from, and a part to test them.

    Data sets without a test part (digits, folders without train and test) have every sixth image held out; a
    generator is still trained on all of them, `load_training`. The first part's warnings name classes that only
    one of them has images of. Raises DatasetUnavailable.
    """
    test = DATASETS[spec.name](spec, "test")
    training = load_training(spec)
    learned, tested = hold_out(training) if test is None else (training, _fit(test, spec))
    return warn_of_gaps(learned, tested), tested


def load_test_part(spec: DatasetSpec) -> LabelledImages | None:
    """Return the test part of a data set that has one of its own, else None. Raises DatasetUnavailable."""
    test = DATASETS[spec.name](spec, "test")
    return None if test is None else _fit(test, spec)


def load_images(spec: DatasetSpec, device: torch.device) -> Tensor:
    """Return all training images as uint8 (N, C, H, W) on the device; raises DatasetUnavailable."""
    return load_training(spec).images.to(device)


def _fit(data: LabelledImages, spec: DatasetSpec) -> LabelledImages:
    """Give images the colour and size of the spec, and a fingerprint; Gaussians follow from the spec alone."""
    # Before anything is computed: that may round otherwise on another machine.
    data = data if data.fingerprint or spec.name == "gaussians" else take_fingerprint(data)
    channels, height, width = spec.shape
    images = to_grey(data.images) if data.images.shape[1] > channels else data.images
    if images.shape[2:] != (height, width):
        images = torch.cat([_resize(chunk, (height, width)) for chunk in torch.split(images, _CHUNK)])
    return replace(data, images=images)


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    resized = functional.interpolate(images.float(), size=size, mode="bilinear", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8)


def find_problem(name: str) -> str | None:
    """Return why the data set is unavailable, in one sentence, or None when it is not; may download it.

    For data sets that need only their name.
    """
    try:
        load_training(_adapter.validate_python({"name": name}))
    except DatasetUnavailable as error:
        return str(error)
    return None


def is_available(name: str) -> bool:
    """Return whether the data set is available; may download it."""
    return find_problem(name) is None


def gather_images(images: Tensor, indices: Tensor) -> Tensor:
    """Return the images at the indices (N,) as float32 (N, C, H, W) in [-1, 1]: 2·value/255 - 1."""
    return to_floats(images.index_select(0, indices))


def to_floats(images: Tensor) -> Tensor:
    """Return images uint8 (N, C, H, W) as float32 in [-1, 1]: 2·value/255 - 1."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
