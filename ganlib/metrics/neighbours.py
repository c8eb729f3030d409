"""The nearest real images of generated ones: does a generator draw, or does it remember? (Winkler, 2018, 5.1)."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

# Images a block: 4,096 of 28×28 are 13 MB as float32, which stays in a processor's cache.
_BLOCK = 4096


@dataclass(frozen=True)
class Neighbours:
    """For each of N images the index (N,) of the nearest real one, and the distance (N,) to it, float32.

    The distance is the mean difference of a pixel, in steps from 0 to 255.
    """

    indices: Tensor
    distances: Tensor


@torch.no_grad()
def nearest_neighbours(images: Tensor, real_images: Tensor) -> Neighbours:
    """Find the nearest of real_images uint8 (M, C, H, W) by L1 for each of images uint8 (N, C, H, W).

    Of equally near ones the first is taken. Both lie on one device; memory for one block is all that is needed.
    """
    rows = images.flatten(1).float()
    best = torch.full((len(rows),), torch.inf, device=rows.device)
    indices = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    for start in range(0, len(real_images), _BLOCK):
        block = real_images[start : start + _BLOCK].flatten(1).float()
        nearest, where = torch.cdist(rows, block, p=1).min(1)
        closer = nearest < best
        best, indices = torch.where(closer, nearest, best), torch.where(closer, where + start, indices)
    return Neighbours(indices, best / rows.shape[1])


class NeighbourSearch:
    """The nearest of real_images uint8 (M, C, H, W) for each of images uint8 (N, C, H, W), looked for when asked.

    Both lie on one device. It looks once; there may be no images as long as nobody asks.
    """

    def __init__(self, images: Tensor, real_images: Tensor) -> None:
        self._images = images
        self._real_images = real_images

    @cached_property
    def found(self) -> Neighbours:
        """The nearest ones and their distances."""
        return nearest_neighbours(self._images, self._real_images)

    def nearest_images(self) -> Tensor:
        """Return the nearest real images uint8 (N, C, H, W), in the order of the images."""
        return self._real_images.index_select(0, self.found.indices)

    def mean_distance(self) -> Tensor:
        """Return the mean of the distances, a float64 scalar."""
        return self.found.distances.double().mean()
