"""From the bytes of an image file to square RGB pixels, refusing what is not an image of bearable size."""

import io

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_MAX_PIXELS = 50_000_000
# Rec. 601, as Winkler (2018), section 4.8.1, gives them.
LUMINOSITY = (0.2989, 0.5870, 0.1140)
_CHUNK = 1024


def decode_picture(content: bytes, size: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Return the middle square of an image file, resized to uint8 (size, size, 3).

    It is turned as its EXIF data say; transparent pixels lie on white; Lanczos resampling, antialiased. Raises
    ValueError for one of more than 50 million pixels, and almost anything for a damaged one.
    """
    with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
        # The header is read, the pixels are not: a bomb is refused before it unfolds.
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"{picture.width}×{picture.height} pixels are too many")
        # A JPEG much larger than wanted is decoded at a half, a quarter or an eighth at once.
        picture.draft("RGB", (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(picture)
        side = min(upright.size)
        left, top = (upright.width - side) // 2, (upright.height - side) // 2
        square = _to_rgb(upright.crop((left, top, left + side, top + side)))
        return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # Pillow would cut 16-bit values off at 255 instead of scaling them.
        picture = Image.fromarray((np.asarray(picture) / 257).round().clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB")


def to_grey(images: Tensor) -> Tensor:
    """Return the luminosity 0.2989 r + 0.5870 g + 0.1140 b, uint8 (N, 1, H, W), of uint8 (N, 3, H, W)."""
    weights = torch.tensor(LUMINOSITY).reshape(1, 3, 1, 1)
    parts = [
        (chunk * weights).sum(1, keepdim=True).round().to(torch.uint8) for chunk in torch.split(images, _CHUNK)
    ]
    return torch.cat(parts)
