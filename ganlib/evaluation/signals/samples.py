"""Signals of samples beside real images: how various they are, how near to real ones, whether they are copies.

Distances are Euclidean, between images as `shrink` makes them: vectors (N, D) in [0, 1]. Functions are pure and
return
float32 scalars on their inputs' device.
"""

import torch
from torch import Tensor
from torch.nn import functional

# Pictures are shrunk to this side: noise of single pixels and shifts by one of them count for little.
SIDE = 16
_NEAR = 0.3
_EPSILON = 1e-8


def shrink(images: Tensor) -> Tensor:
    """Return images uint8 (N, C, H, W) as vectors (N, D) in [0, 1], averaged to at most 16 × 16 pixels."""
    pixels = images.float().div(255)
    height, width = (min(SIDE, side) for side in images.shape[2:])
    if (height, width) != tuple(images.shape[2:]):
        pixels = functional.adaptive_avg_pool2d(pixels, (height, width))
    return pixels.flatten(1)


def distances(left: Tensor, right: Tensor) -> Tensor:
    """Return the distances (N, M) of vectors (N, D) and (M, D)."""
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")


def mean_distance(vectors: Tensor) -> Tensor:
    """Return the mean distance of two different ones of N vectors."""
    count = len(vectors)
    return distances(vectors, vectors).sum() / (count * (count - 1))


def relative(value: Tensor, reference: Tensor) -> Tensor:
    """Return value / reference; where the reference is 0, 1 for an equal value and else a large number."""
    return (value + _EPSILON) / (reference + _EPSILON)


def nearest_other(vectors: Tensor) -> Tensor:
    """Return the distance (N,) of each vector to its nearest fellow."""
    between = distances(vectors, vectors)
    return between.fill_diagonal_(torch.inf).amin(1)


def near_radius(real: Tensor) -> Tensor:
    """Return how near two images are alike: 0.3 of the mean distance of two real ones."""
    return _NEAR * mean_distance(real)


def count_kinds(vectors: Tensor, radius: Tensor) -> Tensor:
    """Return how many vectors are left when each one near to an earlier one that is left is dropped."""
    near = (distances(vectors, vectors) <= radius).tolist()
    leaders: list[int] = []
    for index, row in enumerate(near):
        if not any(row[leader] for leader in leaders):
            leaders.append(index)
    return torch.tensor(float(len(leaders)))


def duplicate_share(vectors: Tensor, radius: Tensor) -> Tensor:
    """Return the share of the vectors that have a fellow within the radius."""
    return (nearest_other(vectors) <= radius).float().mean()


def energy_distance(samples: Tensor, real: Tensor) -> Tensor:
    """Return (2 E|X−Y| − E|X−X'| − E|Y−Y'|) / 2 E|X−Y|, from 0 to 1, of vectors (N, D) and (M, D).

    That is the energy distance (Székely and Rizzo, 2013, Energy statistics, equation 5.3) as a share of its
    largest value; estimated without bias, and 0 where that falls below it.
    """
    between = distances(samples, real).mean()
    within = mean_distance(samples) + mean_distance(real)
    return ((2 * between - within + _EPSILON) / (2 * between + _EPSILON)).clamp(0, 1)


def contrast(images: Tensor) -> Tensor:
    """Return the mean over images uint8 (N, C, H, W) of the standard deviation of an image's pixels, in [0, 1]."""
    return images.float().div(255).flatten(1).std(1).mean()


def grid_pattern(images: Tensor) -> Tensor:
    """Return how much stronger a pattern that repeats each 2 or 4 pixels is than others of fine detail.

    It is the amplitude of the mean of images uint8 (N, C, H, W) at these frequencies, divided by that at all
    others of periods below 8 pixels: what strided transposed convolutions leave (Odena et al., 2016, Deconvolution
    and checkerboard artifacts) lies at the same pixels in every sample. About 1 without a pattern; 1 for pictures
    whose sides are not multiples of 8.
    """
    mean = images.float().div(255).mean(0)
    height, width = mean.shape[1:]
    if height % 8 or width % 8:
        return torch.ones((), device=images.device)
    power = torch.fft.fft2(mean, norm="forward").abs().square().sum(0)
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    is_grid = (rows % (height // 4) == 0)[:, None] & (columns % (width // 4) == 0)
    fine = (torch.minimum(rows, height - rows) > height // 8)[:, None] | (
        torch.minimum(columns, width - columns) > width // 8
    )
    return relative(power[is_grid & fine].mean(), power[~is_grid & fine].mean()).sqrt()


def nearest_in(vectors: Tensor, training: Tensor, skip_equal: bool = False) -> Tensor:
    """Return the distance (N,) of each vector to the nearest of training (M, D).

    skip_equal: each vector is one of these, and itself does not count.
    """
    squares = vectors.square().sum(1)[:, None] + training.square().sum(1) - 2 * vectors @ training.T
    nearest = squares.topk(2 if skip_equal else 1, dim=1, largest=False).values[:, -1]
    return nearest.clamp_min(0).sqrt()


def centroid_agreement(vectors: Tensor, labels: Tensor, centroids: Tensor) -> Tensor:
    """Return the share of vectors (N, D) whose nearest of centroids (K, D) is that of their label int64 (N,)."""
    return (distances(vectors, centroids).argmin(1) == labels).float().mean()
