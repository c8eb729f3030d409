"""Data sets with a name: MNIST and CIFAR-10 through torchvision, and the digits that come with scikit-learn.

Torchvision and scikit-learn take a second to load, so each function imports what it needs.
"""

import torch

from ganlib.datasets.folder import load_pictures
from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.datasets.sources import TorchvisionFiles, find_in_roots
from ganlib.spec.sections.datasets import Cifar10Spec, DigitsSpec, MnistSpec

JPEG_ZIP = "cifar10-jpeg.zip"
_MNIST_FILES = TorchvisionFiles("MNIST", "MNIST", "raw", "MNIST/raw, or use `dataset: digits`")
_CIFAR10_FILES = TorchvisionFiles(
    "CIFAR-10",
    "cifar-10-batches-py",
    "batches.meta",
    f"cifar-10-batches-py, or {JPEG_ZIP} with its images as train|test/<class>/*.jpg",
)


def load_mnist(spec: MnistSpec, split: Split) -> LabelledImages:
    """Return the images (60000 or 10000, 1, 28, 28) of LeCun et al. (1998); raises DatasetUnavailable.

    Downloads them into the cache where no data folder has them.
    """
    from torchvision.datasets import MNIST

    root = _MNIST_FILES.find_root() or _MNIST_FILES.download(
        lambda folder: MNIST(folder, train=True, download=True)
    )
    files = _MNIST_FILES.read(root, lambda folder: MNIST(folder, train=split == "train"))
    return LabelledImages(files.data.unsqueeze(1), files.targets.long(), tuple("0123456789"))


def load_cifar10(spec: Cifar10Spec, split: Split) -> LabelledImages | None:
    """Return the images (50000 or 10000, 3, 32, 32) of Krizhevsky (2009); raises DatasetUnavailable.

    The exact files are taken where a data folder has them, else a zip of JPEGs, else the files are downloaded.
    """
    root = _CIFAR10_FILES.find_root()
    jpegs = find_in_roots(JPEG_ZIP) if root is None else None
    if jpegs is not None:
        return load_pictures(jpegs, 32, split)
    from torchvision.datasets import CIFAR10

    root = root or _CIFAR10_FILES.download(lambda folder: CIFAR10(folder, train=True, download=True))
    files = _CIFAR10_FILES.read(root, lambda folder: CIFAR10(folder, train=split == "train"))
    images = torch.from_numpy(files.data).permute(0, 3, 1, 2).contiguous()
    return LabelledImages(images, torch.tensor(files.targets, dtype=torch.int64), tuple(files.classes))


def load_digits(spec: DigitsSpec, split: Split) -> LabelledImages | None:
    """Return the 1,797 images (N, 1, 8, 8), which count from 0 to 16 on disk; there is no test part (None)."""
    if split == "test":
        return None
    from sklearn import datasets

    pixels, classes = datasets.load_digits(return_X_y=True)
    values = torch.as_tensor(pixels, dtype=torch.float32).mul_(255 / 16).round().to(torch.uint8)
    labels = torch.as_tensor(classes, dtype=torch.int64)
    return LabelledImages(values.reshape(-1, 1, 8, 8), labels, tuple("0123456789"))
