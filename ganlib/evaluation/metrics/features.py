"""Metrics of two sets of features, those of samples and those of real images.

The Fréchet distance is that of Heusel et al. (2017, section 3), there with Inception's features; precision and
recall, by how near features lie to each other, are those of Kynkäänniemi et al. (2019).
"""

import torch
from torch import Tensor

from ganlib.evaluation.measure import Measure
from ganlib.vocabulary import FRECHET_DISTANCE, PRECISION, RECALL

_BLOCK = 1024


def frechet_distance(features: Tensor, other_features: Tensor) -> Tensor:
    """Return |m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½) of features (N, F) and (M, F), a float64 scalar.

    Computed in float64 from unbiased covariances; 0 for equal sets. It falls as N and M grow even when the
    distributions stay the same, so only figures from the same counts and the same features compare.
    """
    first, second = features.double(), other_features.double()
    first_covariance, second_covariance = _covariance(first), _covariance(second)
    # The eigenvalues of C₁ C₂ are those of the symmetric C₁^½ C₂ C₁^½, which is safe to take roots of.
    root = matrix_square_root(first_covariance)
    product_root = matrix_square_root(root @ second_covariance @ root)
    means_apart = (first.mean(0) - second.mean(0)).square().sum()
    traces = first_covariance.trace() + second_covariance.trace() - 2 * product_root.trace()
    return (means_apart + traces).clamp_min(0)


def matrix_square_root(matrix: Tensor) -> Tensor:
    """Return the symmetric root R with R R = matrix of a symmetric matrix (F, F) without negative eigenvalues.

    Eigenvalues that rounding has made negative count as 0.
    """
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(0)
    return centred.T @ centred / (len(features) - 1)


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


MEASURES = (
    Measure(FRECHET_DISTANCE, ("real_features", "features"), frechet_distance),
    Measure(PRECISION, ("real_features", "features"), precision),
    Measure(RECALL, ("real_features", "features"), recall),
)
