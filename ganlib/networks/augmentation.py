"""Random changes of all images that a discriminator sees: differentiable augmentation, and noise that fades."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib.runtime.batch_sharding import global_count, global_like, local_items


class FadingNoise(nn.Module):
    """Add noise from N(0, std²); std is a buffer, so that it can change on the device and checkpoints hold it."""

    std: Tensor

    def __init__(self, std: float) -> None:
        super().__init__()
        self.register_buffer("std", torch.tensor(std))

    def forward(self, images: Tensor) -> Tensor:
        """Return the same shape."""
        return images + self.std.to(images.dtype) * local_items(torch.randn_like(global_like(images)))


class RandomChanges(nn.Module):
    """Change each image (N, C, H, W) by its own random numbers (Zhao et al., 2020, section 3.2); same shape."""

    def __init__(self, colour: bool = True, translation: bool = True, cutout: bool = True) -> None:
        super().__init__()
        self._colour = colour
        self._translation = translation
        self._cutout = cutout

    def forward(self, images: Tensor) -> Tensor:
        """Return the changed images: colour first, then translation, then cutout."""
        if self._colour:
            brightness, saturation, contrast = _draw(images, 3)
            images = change_colour(images, brightness - 0.5, 2 * saturation, contrast + 0.5)
        height, width = images.shape[2:]
        if self._translation:
            down, right = (_draw_integers(images, -((size + 4) // 8), (size + 4) // 8) for size in (height, width))
            images = translate(images, down, right)
        if self._cutout:
            # The middle of an odd square is a pixel, that of an even one a line between pixels: there is one more.
            top, left = (
                _draw_integers(images, 0, size - size // 2 % 2) - size // 2 // 2 for size in (height, width)
            )
            images = cut_out(images, top, left)
        return images


def change_colour(images: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Add the brightness, stretch each pixel about its grey, then the image about its mean; all (N, 1, 1, 1)."""
    images = images + brightness
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * saturation + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * contrast + mean


def translate(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Move each image by integer numbers of pixels (N,); pixels from outside are 0."""
    count, _, height, width = images.shape
    # One ring of zeros stands for all that lies outside.
    padded = functional.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    rows = (torch.arange(height, device=images.device) + 1 - down.unsqueeze(1)).clamp(0, height + 1)
    columns = (torch.arange(width, device=images.device) + 1 - right.unsqueeze(1)).clamp(0, width + 1)
    items = torch.arange(count, device=images.device)
    moved = padded[items[:, None, None], rows[:, :, None], columns[:, None, :]]
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
    numbers = torch.rand(count, global_count(len(images)), 1, 1, 1, device=images.device, dtype=images.dtype)
    return local_items(numbers, dim=1)


def _draw_integers(images: Tensor, least: int, most: int) -> Tensor:
    """Draw integers (N,) from least to most."""
    return local_items(torch.randint(least, most + 1, (global_count(len(images)),), device=images.device))
