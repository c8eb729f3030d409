"""MNIST's 60,000 training and 10,000 test images (LeCun et al., 1998), through torchvision."""

from pathlib import Path

from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.datasets.sources import TorchvisionFiles
from ganlib.spec.sections.datasets import MnistSpec

_FILES = TorchvisionFiles("MNIST", "MNIST", "raw", "MNIST/raw, or use `dataset: digits`")


def load_mnist(spec: MnistSpec, split: Split) -> LabelledImages:
    """Return the images (60000 or 10000, 1, 28, 28); raises DatasetUnavailable."""
    # Imported here because torchvision takes a second to load and only few data sets need it.
    from torchvision.datasets import MNIST

    files = _FILES.read(find_mnist(), lambda root: MNIST(root, train=split == "train"))
    return LabelledImages(files.data.unsqueeze(1), files.targets.long(), tuple("0123456789"))


def find_mnist() -> Path:
    """Return the folder that holds `MNIST/raw`: the one that GANVAS_DATA names, or else the cache.

    Downloads into the cache where neither has it. Raises DatasetUnavailable.
    """
    from torchvision.datasets import MNIST

    root = _FILES.find_root()
    return root or _FILES.download(lambda folder: MNIST(folder, train=True, download=True))
