"""Metrics of two sets of features, those of samples and those of real images.

The Fréchet distance is that of Heusel et al. (2017, section 3) and the kernel distance that of Bińkowski et al.
(2018, section 4), both there with Inception's features. Precision and recall, by how near features lie to each
other, are those of Kynkäänniemi et al. (2019); density and coverage those of Naeem et al. (2020).
"""

import torch
from torch import Tensor

from ganlib.evaluation.measure import Measure
from ganlib.vocabulary import COVERAGE, DENSITY, FRECHET_DISTANCE, KERNEL_DISTANCE, PRECISION, RECALL

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


def kernel_distance(features: Tensor, other_features: Tensor) -> Tensor:
    """Return the unbiased squared MMD of features (N, F) and (M, F), a float64 scalar that may be below 0.

    With the kernel (x·y/F + 1)³ (Bińkowski et al., 2018, section 4, whose KID is the mean of it over subsets).
    N and M are 2 at least. Its mean is the same for every N and M.
    """
    first, second = features.double(), other_features.double()
    within = _kernel_within(first) + _kernel_within(second)
    return within - 2 * _kernel_sum(first, second) / (len(first) * len(second))


def _kernel_within(features: Tensor) -> Tensor:
    """Return the mean of the kernel over all pairs of two different rows."""
    own = _kernel(features.square().sum(1), features.shape[1]).sum()
    return (_kernel_sum(features, features) - own) / (len(features) * (len(features) - 1))


def _kernel_sum(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack(
        [_kernel(block @ second.T, first.shape[1]).sum() for block in torch.split(first, _BLOCK)]
    ).sum()


def _kernel(products: Tensor, size: int) -> Tensor:
    return (products / size + 1) ** 3


def density(real_features: Tensor, fake_features: Tensor, neighbour: int = 5) -> Tensor:
    """Return how many real images' balls a fake (M, F) lies in, divided by `neighbour`; real ones are (N, F).

    A ball reaches up to the image's fifth nearest fellow (`neighbour`) without its edge, so that the real images
    themselves get 1; it may be more (Naeem et al., 2020, section 3). N > neighbour; a float64 scalar.
    """
    radii = _radii(real_features, neighbour)
    inside = [(_distances(block, real_features) < radii).sum(1) for block in torch.split(fake_features, _BLOCK)]
    return torch.cat(inside).double().mean() / neighbour


def coverage(real_features: Tensor, fake_features: Tensor, neighbour: int = 5) -> Tensor:
    """Return the share of real images (N, F) whose ball, as for density, holds a fake (M, F)."""
    radii = _radii(real_features, neighbour)
    nearest = [_distances(block, fake_features).amin(1) for block in torch.split(real_features, _BLOCK)]
    return (torch.cat(nearest) < radii).double().mean()


def precision(real_features: Tensor, fake_features: Tensor, neighbour: int = 3) -> Tensor:
    """Return the share of fakes (M, F) that lie in some real image's ball, real ones being (N, F) (equation 1).

    A ball reaches to the image's third nearest fellow (`neighbour`). N > neighbour; a float64 scalar.
    """
    return _covered(real_features, fake_features, neighbour)


def recall(real_features: Tensor, fake_features: Tensor, neighbour: int = 3) -> Tensor:
    """Return the share of real images (N, F) that lie in some fake's ball, fakes being (M, F) (equation 2)."""
    return _covered(fake_features, real_features, neighbour)


def _covered(centres: Tensor, points: Tensor, neighbour: int) -> Tensor:
    radii = _radii(centres, neighbour)
    inside = [(_distances(block, centres) <= radii).any(1) for block in torch.split(points, _BLOCK)]
    return torch.cat(inside).double().mean()


def _radii(centres: Tensor, neighbour: int) -> Tensor:
    """Return the distance (N,) of each of N centres to its nearest fellow of that order."""
    return torch.cat([_nearest(block, centres, neighbour) for block in torch.split(centres, _BLOCK)])


def _nearest(block: Tensor, centres: Tensor, neighbour: int) -> Tensor:
    # Each centre is its own nearest at distance 0, so the k-th nearest other is the (k + 1)-th smallest.
    return _distances(block, centres).kthvalue(neighbour + 1, dim=1).values


def _distances(block: Tensor, centres: Tensor) -> Tensor:
    # By differences: the quicker way through products would give equal points a distance of their own.
    return torch.cdist(block.double(), centres.double(), compute_mode="donot_use_mm_for_euclid_dist")


MEASURES = (
    Measure(FRECHET_DISTANCE, ("real_features", "features"), frechet_distance),
    Measure(PRECISION, ("real_features", "features"), precision),
    Measure(RECALL, ("real_features", "features"), recall),
    Measure(DENSITY, ("real_features", "features"), density),
    Measure(COVERAGE, ("real_features", "features"), coverage),
    Measure(KERNEL_DISTANCE, ("features", "real_features"), kernel_distance),
)
