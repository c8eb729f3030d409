"""Signals of a loop's grids, as `ganlib.evaluation.signals.samples` defines them, with NumPy instead of PyTorch.

Without real images, the distance of two of them is estimated: pictures whose pixels are independent of the others'
lie √2 times the spread of their pixels apart, a pixel; real ones, which have much in common, somewhat less.
"""

import numpy as np
from numpy.typing import NDArray

from ganlib.evaluation.diagnosis.rules.divergence import LEAST_CONTRAST
from ganlib.vocabulary import (
    CHECKERBOARD,
    CONTRAST,
    DIVERSITY,
    DUPLICATES,
    KIND_SHARE,
    KINDS,
    MOVEMENT,
    REAL_DISTANCE,
)
from ganvas.tracking.pictures.png import Cells

SIDE = 16
# No more are looked at, evenly picked: the distances of all pairs are taken.
MOST_CELLS = 128
_NEAR, _EPSILON = 0.3, 1e-8
# Of the distance of independent pictures: what real images have (MNIST 0.80, the digits of scikit-learn 0.70).
_IN_COMMON = 0.75
# A picture of one plain colour has a spread, and samples of nothing else a distance, of next to nothing.
_LEAST_SPREAD = 0.05
# Without real images only a contrast of next to nothing is told (MNIST has 0.31, the digits of scikit-learn 0.38).
_USUAL_CONTRAST = 0.25

Vectors = NDArray[np.float64]


def stack(cells: Cells) -> NDArray[np.uint8]:
    """Return cells as uint8 (N, C, H, W), at most MOST_CELLS of them."""
    count = min(cells.count, MOST_CELLS)
    picked = cells.pick([index * cells.count // count for index in range(count)])
    images = np.frombuffer(picked.content, np.uint8)
    return images.reshape(count, cells.height, cells.width, cells.channels).transpose(0, 3, 1, 2)


class SignalMeter:
    """Measures grids, one after the other. real: images uint8 (N, C, H, W), None where there are none.

    unseen: what rules may use of the newest grid and nobody is shown. Where the latents of cells are not known,
    how far a cell has moved cannot be said; of pictures of few kinds, the nearest ones of the last grid say nearly
    as much.
    """

    def __init__(self, real: NDArray[np.uint8] | None = None) -> None:
        self.real = real
        self.unseen: dict[str, float] = {}
        self._last: Vectors | None = None
        self._last_latents: str | None = None

    def measure(self, images: NDArray[np.uint8], latents: str | None = None) -> dict[str, float]:
        """Return the signals of a grid's images uint8 (N, C, H, W) by their metrics' names.

        latents: what names those of the cells, None where they are not known.
        """
        shrunk = shrink(images)
        real = self._find_real(images)
        apart = mean_distance(shrink(real)) if real is not None else _estimate_distance(shrunk)
        radius = _NEAR * apart
        kinds = count_kinds(shrunk, radius)
        values = {
            DIVERSITY.name: relative(mean_distance(shrunk), apart),
            KINDS.name: float(kinds),
            DUPLICATES.name: duplicate_share(shrunk, radius),
        }
        self.unseen = {}
        if self._last is not None and self._last.shape == shrunk.shape:
            if latents is not None and latents == self._last_latents:
                moved = float(np.linalg.norm(shrunk - self._last, axis=1).mean())
                values[MOVEMENT.name] = relative(moved, apart)
            else:
                nearest = float(distances(shrunk, self._last).min(axis=1).mean())
                self.unseen = {MOVEMENT.name: relative(nearest, apart)}
        if real is not None:
            values |= _compare(images, shrunk, real, kinds, radius)
        else:
            spread = contrast(images)
            if spread < LEAST_CONTRAST * _USUAL_CONTRAST:
                values[CONTRAST.name] = spread / _USUAL_CONTRAST
        self._last, self._last_latents = shrunk, latents
        return values

    def _find_real(self, images: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        fits = self.real is not None and len(self.real) > 1 and self.real.shape[1:] == images.shape[1:]
        return self.real if fits else None


def _compare(
    images: NDArray[np.uint8], shrunk: Vectors, real: NDArray[np.uint8], kinds: int, radius: float
) -> dict[str, float]:
    """Return what can only be said beside real images."""
    as_many = real[: len(images)]
    real_kinds = count_kinds(shrink(as_many), radius)
    return {
        KIND_SHARE.name: kinds / real_kinds * len(as_many) / len(images),
        CONTRAST.name: relative(contrast(images), contrast(as_many)),
        REAL_DISTANCE.name: energy_distance(shrunk, shrink(real)),
        CHECKERBOARD.name: relative(grid_pattern(images), grid_pattern(as_many)),
    }


def shrink(images: NDArray[np.uint8]) -> Vectors:
    """Return images uint8 (N, C, H, W) as vectors (N, D) in [0, 1], averaged to at most 16 × 16 pixels."""
    pixels = images.astype(np.float64) / 255
    height, width = images.shape[2:]
    if height > SIDE:
        pixels = np.einsum("oh,nchw->ncow", _pooling(height), pixels)
    if width > SIDE:
        pixels = np.einsum("ow,nchw->ncho", _pooling(width), pixels)
    return pixels.reshape(len(images), -1)


def _pooling(side: int) -> Vectors:
    """Return the matrix (SIDE, side) that averages as PyTorch's adaptive_avg_pool2d does."""
    matrix = np.zeros((SIDE, side))
    for row in range(SIDE):
        first, last = row * side // SIDE, -(-(row + 1) * side // SIDE)
        matrix[row, first:last] = 1 / (last - first)
    return matrix


def distances(left: Vectors, right: Vectors) -> Vectors:
    """Return the Euclidean distances (N, M) of vectors (N, D) and (M, D)."""
    return np.stack([np.linalg.norm(right - vector, axis=1) for vector in left])


def mean_distance(vectors: Vectors) -> float:
    """Return the mean distance of two different ones of N vectors, 0 for a single one."""
    count = len(vectors)
    return float(distances(vectors, vectors).sum() / (count * (count - 1))) if count > 1 else 0.0


def relative(value: float, reference: float) -> float:
    """Return value / reference; where the reference is 0, 1 for an equal value and else a large number."""
    return (value + _EPSILON) / (reference + _EPSILON)


def count_kinds(vectors: Vectors, radius: float) -> int:
    """Return how many vectors are left when each one near to an earlier one that is left is dropped."""
    near = distances(vectors, vectors) <= radius
    leaders: list[int] = []
    for index in range(len(vectors)):
        if not near[index, leaders].any():
            leaders.append(index)
    return len(leaders)


def duplicate_share(vectors: Vectors, radius: float) -> float:
    """Return the share of the vectors that have a fellow within the radius."""
    between = distances(vectors, vectors)
    np.fill_diagonal(between, np.inf)
    return float((between.min(axis=1) <= radius).mean())


def energy_distance(samples: Vectors, real: Vectors) -> float:
    """Return the energy distance of vectors (N, D) and (M, D) as a share of its largest value, from 0 to 1."""
    between = float(distances(samples, real).mean())
    within = mean_distance(samples) + mean_distance(real)
    return min(1.0, max(0.0, (2 * between - within + _EPSILON) / (2 * between + _EPSILON)))


def contrast(images: NDArray[np.uint8]) -> float:
    """Return the mean over images of the standard deviation of an image's pixels, in [0, 1]."""
    return float((images.reshape(len(images), -1) / 255).std(axis=1, ddof=1).mean())


def grid_pattern(images: NDArray[np.uint8]) -> float:
    """Return how much stronger a pattern that repeats each 2 or 4 pixels is than others of fine detail."""
    mean = images.mean(axis=0) / 255
    height, width = mean.shape[1:]
    if height % 8 or width % 8:
        return 1.0
    power = (np.abs(np.fft.fft2(mean, norm="forward")) ** 2).sum(axis=0)
    rows, columns = np.arange(height), np.arange(width)
    is_grid = (rows % (height // 4) == 0)[:, None] & (columns % (width // 4) == 0)
    fine = (np.minimum(rows, height - rows) > height // 8)[:, None] | (
        np.minimum(columns, width - columns) > width // 8
    )
    return float(np.sqrt(relative(float(power[is_grid & fine].mean()), float(power[~is_grid & fine].mean()))))


def _estimate_distance(vectors: Vectors) -> float:
    """Return about how far two real images of this contrast lie apart."""
    spread = max(_LEAST_SPREAD, float(vectors.std(axis=1).mean()))
    return float(_IN_COMMON * np.sqrt(2 * vectors.shape[1]) * spread)
