"""A mixture of Gaussians as pictures: points around a ring's or grid's modes, each drawn as one bright blob."""

from math import isqrt, pi

import torch
from torch import Tensor

from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.runtime.random_streams import make_generator
from ganlib.spec.sections.datasets import GaussiansSpec, Layout

# The square of the modes reaches from −0.6 to 0.6 on a picture that reaches from −1 to 1.
_REACH = 0.6
# A blob's own deviation, as a share of the picture's side.
_BLOB = 1 / 16
_TEST_SHARE = 5
_CHUNK = 4096


def load_gaussians(spec: GaussiansSpec, split: Split) -> LabelledImages:
    """Return the images (count, 1, size, size), and a fifth as many to test on; the label is the mode.

    The modes take turns, so each has as many images as any other, but for one. The points are the same in every
    run, whatever its seed.
    """
    count = spec.count if split == "train" else spec.count // _TEST_SHARE
    labels = torch.arange(count) % spec.modes
    generator = make_generator(torch.device("cpu"), 0, "gaussians", split)
    points = find_centres(spec.modes, spec.layout)[labels] + spec.std * torch.randn(count, 2, generator=generator)
    images = torch.cat([draw_blobs(chunk, spec.size) for chunk in torch.split(points, _CHUNK)])
    return LabelledImages(images, labels, tuple(str(mode) for mode in range(spec.modes)))


def find_centres(modes: int, layout: Layout) -> Tensor:
    """Return the modes' centres (modes, 2), x to the right and y downwards, both in [−0.6, 0.6].

    A ring begins at the right and continues clockwise; a grid, of a square number of modes, goes row by row.
    """
    if layout == "ring":
        angles = torch.arange(modes) * (2 * pi / modes)
        return _REACH * torch.stack([angles.cos(), angles.sin()], dim=1)
    steps = torch.linspace(-_REACH, _REACH, isqrt(modes))
    return torch.cartesian_prod(steps, steps).flip(1)


def draw_blobs(points: Tensor, size: int) -> Tensor:
    """Draw each point (N, 2) of [−1, 1]² as a Gaussian bump of a sixteenth of the side: uint8 (N, 1, size, size).

    255 · exp(−distance² / 2·(size/16)²), with the distance from the pixel's middle in pixels.
    """
    places = (points + 1) * (size / 2) - 0.5
    distances = torch.arange(size, device=points.device) - places.unsqueeze(2)
    columns, rows = torch.exp(-(distances / (size * _BLOB)).square() / 2).unbind(1)
    blobs = rows.unsqueeze(2) * columns.unsqueeze(1)
    return (255 * blobs).round().to(torch.uint8).unsqueeze(1)
