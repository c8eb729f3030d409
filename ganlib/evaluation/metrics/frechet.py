"""Fréchet distance between two sets of features (Heusel et al., 2017, section 3, there with Inception's)."""

import torch
from torch import Tensor


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
