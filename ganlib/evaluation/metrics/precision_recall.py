"""Precision and recall of samples, by how near they lie to real features (Kynkäänniemi et al., 2019)."""

import torch
from torch import Tensor

_BLOCK = 1024


def precision(real_features: Tensor, fake_features: Tensor, neighbour: int = 3) -> Tensor:
    """Return the share of fakes (M, F) that lie in some real image's ball, real ones being (N, F) (equation 1).

    A ball reaches to the image's third nearest fellow (`neighbour`). N > neighbour; a float64 scalar.
    """
    return _covered(real_features, fake_features, neighbour)


def recall(real_features: Tensor, fake_features: Tensor, neighbour: int = 3) -> Tensor:
    """Return the share of real images (N, F) that lie in some fake's ball, fakes being (M, F) (equation 2)."""
    return _covered(fake_features, real_features, neighbour)


def _covered(centres: Tensor, points: Tensor, neighbour: int) -> Tensor:
    radii = torch.cat([_nearest(block, centres, neighbour) for block in torch.split(centres, _BLOCK)])
    inside = [(_distances(block, centres) <= radii).any(1) for block in torch.split(points, _BLOCK)]
    return torch.cat(inside).double().mean()


def _nearest(block: Tensor, centres: Tensor, neighbour: int) -> Tensor:
    # Each centre is its own nearest at distance 0, so the third nearest other is the fourth smallest.
    return _distances(block, centres).kthvalue(neighbour + 1, dim=1).values


def _distances(block: Tensor, centres: Tensor) -> Tensor:
    # By differences: the quicker way through products would give equal points a distance of their own.
    return torch.cdist(block.double(), centres.double(), compute_mode="donot_use_mm_for_euclid_dist")
