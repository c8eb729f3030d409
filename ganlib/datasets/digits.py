"""The 1,797 real handwritten digits that come with scikit-learn: 8×8 pixels, no download."""

import torch
from torch import Tensor


def load_digits() -> Tensor:
    """Return the images (1797, 1, 8, 8) as float32 in [0, 255]; on disk they count from 0 to 16."""
    # Imported here because scikit-learn takes a second to load and only this data set needs it.
    from sklearn import datasets

    pixels = datasets.load_digits(return_X_y=True)[0]
    return torch.as_tensor(pixels, dtype=torch.float32).mul_(255 / 16).reshape(-1, 1, 8, 8)
