"""The digits that come with scikit-learn, which takes a second to load, so the function imports it."""

import torch

from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.spec.sections.datasets import DigitsSpec


def load_digits(spec: DigitsSpec, split: Split) -> LabelledImages | None:
    """Return the 1,797 images (N, 1, 8, 8), which count from 0 to 16 on disk; there is no test part (None)."""
    if split == "test":
        return None
    from sklearn import datasets

    pixels, classes = datasets.load_digits(return_X_y=True)
    values = torch.as_tensor(pixels, dtype=torch.float32).mul_(255 / 16).round().to(torch.uint8)
    labels = torch.as_tensor(classes, dtype=torch.int64)
    return LabelledImages(values.reshape(-1, 1, 8, 8), labels, tuple("0123456789"))
