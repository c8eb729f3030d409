"""CIFAR-10's 50,000 training and 10,000 test images (Krizhevsky, 2009): torchvision's files, or a zip of JPEGs."""

import torch

from ganlib.datasets.folder import load_pictures
from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.datasets.sources import TorchvisionFiles, find_in_roots
from ganlib.spec.sections.datasets import Cifar10Spec

JPEG_ZIP = "cifar10-jpeg.zip"
_FILES = TorchvisionFiles(
    "CIFAR-10",
    "cifar-10-batches-py",
    "batches.meta",
    f"cifar-10-batches-py, or {JPEG_ZIP} with its images as train|test/<class>/*.jpg",
)


def load_cifar10(spec: Cifar10Spec, split: Split) -> LabelledImages | None:
    """Return the images (50000 or 10000, 3, 32, 32); raises DatasetUnavailable.

    The exact files are taken where a data folder has them, else the JPEGs, else the files are downloaded.
    """
    root = _FILES.find_root()
    jpegs = find_in_roots(JPEG_ZIP) if root is None else None
    if jpegs is not None:
        return load_pictures(jpegs, 32, split)
    # Imported here because torchvision takes a second to load and only few data sets need it.
    from torchvision.datasets import CIFAR10

    root = root or _FILES.download(lambda folder: CIFAR10(folder, train=True, download=True))
    files = _FILES.read(root, lambda folder: CIFAR10(folder, train=split == "train"))
    images = torch.from_numpy(files.data).permute(0, 3, 1, 2).contiguous()
    return LabelledImages(images, torch.tensor(files.targets, dtype=torch.int64), tuple(files.classes))
