"""The nearest real images of generated ones, which show a generator that remembers (Winkler, 2018, 5.1)."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from ganlib.evaluation.measure import Measure
from ganlib.vocabulary import NEIGHBOUR_DISTANCE

# Images a block: 4,096 of 28×28 are 13 MB as float32, which stays in a processor's cache.
_BLOCK = 4096
_TILE = 4
# Up to this share of a block, pairs are measured one by one: that costs some four times as much a pair.
_WORTH_IT = 0.1
_PAIRS = 512


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
    Images whose sums over small tiles are further apart than the best so far are passed over: their L1 is as large
    at least. It waits for the device.
    """
    rows, tiles = images.flatten(1).float(), _sum_tiles(images)
    best = torch.full((len(rows),), torch.inf, device=rows.device)
    indices = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    for start in range(0, len(real_images), _BLOCK):
        block = real_images[start : start + _BLOCK]
        bounds = torch.cdist(tiles, _sum_tiles(block), p=1)
        likely = block[bounds.argmin(1)].flatten(1).float()
        limits = torch.minimum(best, (rows - likely).abs().sum(1))
        # A little more than the bounds let through, because sums of large images are rounded.
        distances = _measure(rows, block.flatten(1), bounds * 0.9999 <= limits[:, None])
        nearest, where = distances.min(1)
        closer = nearest < best
        best, indices = torch.where(closer, nearest, best), torch.where(closer, where + start, indices)
    return Neighbours(indices, best / rows.shape[1])


def _sum_tiles(images: Tensor) -> Tensor:
    """Return the sums over tiles of 4 × 4 pixels, (N, tiles), of images uint8 (N, C, H, W)."""
    sums = functional.avg_pool2d(images.float(), _TILE, ceil_mode=True, divisor_override=1)
    return sums.flatten(1)


def _measure(rows: Tensor, real_rows: Tensor, wanted: Tensor) -> Tensor:
    """Return L1 (N, M) of rows float (N, P) and uint8 (M, P), at least where wanted (N, M), or else infinity."""
    if wanted.float().mean() > _WORTH_IT:
        return torch.cdist(rows, real_rows.float(), p=1)
    distances = torch.full(wanted.shape, torch.inf, device=rows.device)
    for pairs in torch.split(wanted.nonzero(), _PAIRS):
        left, right = pairs.unbind(1)
        distances[left, right] = (rows[left] - real_rows[right].float()).abs().sum(1)
    return distances


class NeighbourSearch:
    """Finds the nearest of real_images uint8 (M, C, H, W) for each of images uint8 (N, C, H, W) when first asked.

    Both lie on one device.
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


MEASURES = (Measure(NEIGHBOUR_DISTANCE, ("neighbours",), NeighbourSearch.mean_distance),)
