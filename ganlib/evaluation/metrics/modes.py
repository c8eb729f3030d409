"""Metrics of points of a mixture of Gaussians: which modes they are of, and how near to them (no network).

A point is of high quality where it lies within three standard deviations of its nearest mode, and a mode is
covered where it is the nearest one of such a point (Srivastava et al., 2017, section 4.1; Metz et al., 2017,
section 3.1, show the same mixtures).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlib.evaluation.measure import Measure
from ganlib.vocabulary import HIGH_QUALITY, MODES


@dataclass(frozen=True)
class Mixture:
    """Centres (K, 2) of the modes, and how far a point of high quality may lie from one."""

    centres: Tensor
    radius: float


def count_modes(points: Tensor, mixture: Mixture) -> Tensor:
    """Return how many modes have a point (N, 2) of high quality, a float64 scalar; NaN is no point."""
    distances, nearest = _measure(points, mixture)
    return torch.tensor(len(torch.unique(nearest[distances <= mixture.radius])), dtype=torch.float64)


def high_quality_share(points: Tensor, mixture: Mixture) -> Tensor:
    """Return the share of the points (N, 2) that are of high quality, a float64 scalar; NaN is no point."""
    return (_measure(points, mixture)[0] <= mixture.radius).double().mean()


def _measure(points: Tensor, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) of each point to its nearest mode, NaN where there is none, and that mode (N,)."""
    distances = torch.cdist(points.double(), mixture.centres.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return distances.min(1)


MEASURES = (
    Measure(MODES, ("points", "mixture"), count_modes),
    Measure(HIGH_QUALITY, ("points", "mixture"), high_quality_share),
)
