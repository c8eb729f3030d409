"""Sample grids: images of the fixed latents, laid out in rows and columns, as PNG."""

from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

_CHUNK = 256


def draw_samples(generator: nn.Module, latents: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return images uint8 (N, C, H, W) of latents (N, L), as `draw_floats` and `to_bytes` make them."""
    return to_bytes(draw_floats(generator, latents, labels))


@torch.no_grad()
def draw_floats(generator: nn.Module, latents: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return images (N, C, H, W) of latents (N, L), on their device and without waiting for it.

    labels: int64 (N,), for a generator that takes labels.

    The generator is in evaluation mode and in float32 whatever the training's precision, so that an image
    depends on its own latent alone. The module's mode is as before afterwards.
    """
    was_training = generator.training
    generator.eval()
    # In chunks of one size, so that a large grid needs no more memory than a batch.
    inputs = [torch.split(given, _CHUNK) for given in (latents, labels) if given is not None]
    images = torch.cat([generator(*chunk) for chunk in zip(*inputs, strict=True)])
    generator.train(was_training)
    return images


def to_bytes(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as uint8; NaN becomes black, and what lies beyond is clipped."""
    return images.nan_to_num(nan=-1.0).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def broken_items(images: Tensor) -> Tensor:
    """Return how many of the images (N, C, H, W) hold a number that is not finite, int64 (), without waiting."""
    return (~images.isfinite().flatten(1).all(1)).sum()


def arrange_grid(images: Tensor, rows: int, columns: int) -> Tensor:
    """Lay images (rows · columns, C, H, W) out row by row as one (rows · H, columns · W, C), without gaps."""
    _, channels, height, width = images.shape
    cells = images.reshape(rows, columns, channels, height, width)
    return cells.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)


def write_png(pixels: Tensor, path: Path) -> None:
    """Write uint8 pixels (H, W, C) with C = 1 or 3 as PNG."""
    array = pixels.squeeze(2).numpy() if pixels.shape[2] == 1 else pixels.numpy()
    Image.fromarray(array).save(path, format="PNG")


def write_latents(latents: Tensor, labels: Tensor | None, path: Path) -> None:
    """Write latents (N, L), and labels (N,) if there are any, as tensors of these names of a safetensors file.

    The same latents and labels give the same bytes.
    """
    save_file({"latents": latents} if labels is None else {"latents": latents, "labels": labels}, path)
