"""Points of a mixture of Gaussians, read off the pictures that show them: no network, nothing is trained."""

import torch
from torch import Tensor

from ganlib.datasets.gaussians import draw_blobs, find_centres
from ganlib.evaluation.extractors.extractor import Extracted, FeatureExtractor
from ganlib.evaluation.metrics.modes import Mixture
from ganlib.spec.sections.datasets import GaussiansSpec

_VERSION = 1
# Pixels darker than this share of the brightest one are background, which a generator hardly draws quite black.
_BACKGROUND = 0.25
# The cosine similarity with a blob at the same place from which on a picture shows one. Two blobs have 0.7.
_LIKENESS = 0.8
_DEVIATIONS = 3
_CHUNK = 4096


class BlobPoints(FeatureExtractor):
    """The centre of mass of each picture's blob; the mixture's own density says which mode it is of."""

    facts = "the centre of each picture's blob, by the mixture itself"
    warning = ""

    def __init__(self, dataset: GaussiansSpec, device: torch.device) -> None:
        self.dataset = dataset
        self.name = f"points, version {_VERSION}"
        self.mixture = build_mixture(dataset)
        self._centres = self.mixture.centres.to(device)

    @torch.no_grad()
    def extract(self, images: Tensor) -> Extracted:
        """Return points as features too, and the probability (N, modes) of each mode given the point."""
        found = [locate_blobs(chunk) for chunk in torch.split(images, _CHUNK)]
        places, is_blob = (torch.cat(parts) for parts in zip(*found, strict=True))
        distances = torch.cdist(
            places.double(), self._centres.double(), compute_mode="donot_use_mm_for_euclid_dist"
        )
        # Modes of equal weight and deviation: by Bayes, p(mode | point) ∝ exp(-distance² / 2·deviation²).
        deviation = self.mixture.radius / _DEVIATIONS
        probabilities = (-distances.square() / (2 * deviation**2)).softmax(1)
        return Extracted(places, probabilities, places.masked_fill(~is_blob[:, None], torch.nan))


def build_mixture(dataset: GaussiansSpec) -> Mixture:
    """Return the data set's modes; three standard deviations, but half a pixel at least, are near one."""
    half_pixel = 1 / dataset.size
    return Mixture(find_centres(dataset.modes, dataset.layout), max(_DEVIATIONS * dataset.std, half_pixel))


def locate_blobs(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the blobs of pictures uint8 (N, 1, S, S) are, (N, 2) in [−1, 1]², and whether each is one.

    The place is the centre of mass of what is brighter than a quarter of the brightest pixel; a picture shows one
    blob where it is like one drawn there.
    """
    size = images.shape[-1]
    pixels = images.squeeze(1).float()
    brightest = pixels.amax((1, 2), keepdim=True)
    weights = (pixels - _BACKGROUND * brightest).clamp_min(0)
    total = weights.sum((1, 2)).clamp_min(1e-12)
    steps = (torch.arange(size, device=images.device) + 0.5) * (2 / size) - 1
    columns, rows = (weights.sum(1) * steps).sum(1) / total, (weights.sum(2) * steps).sum(1) / total
    places = torch.stack([columns, rows], dim=1)
    drawn = draw_blobs(places, size).squeeze(1).float()
    sizes = pixels.square().sum((1, 2)) * drawn.square().sum((1, 2))
    likeness = (pixels * drawn).sum((1, 2)) / sizes.sqrt().clamp_min(1e-12)
    return places, likeness >= _LIKENESS
