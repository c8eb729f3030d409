"""Differentiable augmentation of all images that the discriminator sees (Zhao et al., 2020, section 3.2).

Real and fake images are changed alike, and gradients flow back through the change, so the generator learns to make
images that look real once changed, not changed images.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib.networks.simple import Before
from ganlib.runtime.batch_sharding import own_items, whole_count
from ganlib.spec.job import JobSpec
from ganlib.spec.sections.techniques import DiffAugmentSpec
from ganlib.techniques.base import Technique


class RandomChanges(nn.Module):
    """Change each image (N, C, H, W) by its own random numbers; same shape."""

    def __init__(self, spec: DiffAugmentSpec) -> None:
        super().__init__()
        self._spec = spec

    def forward(self, images: Tensor) -> Tensor:
        """Return the changed images: colour first, then translation, then cutout."""
        if self._spec.colour:
            brightness, saturation, contrast = _draw(images, 3)
            images = change_colour(images, brightness - 0.5, 2 * saturation, contrast + 0.5)
        height, width = images.shape[2:]
        if self._spec.translation:
            down, right = (_draw_whole(images, -((size + 4) // 8), (size + 4) // 8) for size in (height, width))
            images = translate(images, down, right)
        if self._spec.cutout:
            # The middle of an odd square is a pixel, that of an even one a line between pixels: there is one more.
            top, left = (_draw_whole(images, 0, size - size // 2 % 2) - size // 2 // 2 for size in (height, width))
            images = cut_out(images, top, left)
        return images


class DiffAugment(Technique):
    """Changes on every image that D sees in either player's update."""

    def __init__(self, spec: DiffAugmentSpec, job_spec: JobSpec) -> None:
        self._changes = RandomChanges(spec)

    def wrap_discriminator(self, discriminator: nn.Module) -> nn.Module:
        """Return the discriminator behind the changes."""
        return Before(self._changes, discriminator)


def change_colour(images: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Add the brightness, stretch each pixel about its grey, then the image about its mean; all (N, 1, 1, 1)."""
    images = images + brightness
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * saturation + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * contrast + mean


def translate(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Move each image by its whole numbers of pixels (N,); what comes in from outside is 0."""
    count, _, height, width = images.shape
    # One ring of zeros stands for all that lies outside.
    padded = functional.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    rows = (torch.arange(height, device=images.device) + 1 - down.unsqueeze(1)).clamp(0, height + 1)
    columns = (torch.arange(width, device=images.device) + 1 - right.unsqueeze(1)).clamp(0, width + 1)
    which = torch.arange(count, device=images.device)
    moved = padded[which[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def cut_out(images: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Set a rectangle of half the height and width to 0, its corner at top and left (N,); it may stick out."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - top.unsqueeze(1)
    columns = torch.arange(width, device=images.device) - left.unsqueeze(1)
    in_rows, in_columns = (rows >= 0) & (rows < height // 2), (columns >= 0) & (columns < width // 2)
    inside = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return images * (~inside).to(images.dtype)


def _draw(images: Tensor, count: int) -> Tensor:
    """Draw numbers (count, N, 1, 1, 1) uniform in [0, 1)."""
    drawn = torch.rand(count, whole_count(len(images)), 1, 1, 1, device=images.device, dtype=images.dtype)
    return own_items(drawn, dim=1)


def _draw_whole(images: Tensor, least: int, most: int) -> Tensor:
    """Draw whole numbers (N,) from least to most."""
    return own_items(torch.randint(least, most + 1, (whole_count(len(images)),), device=images.device))
