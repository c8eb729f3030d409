"""From a stored PNG to pixels. Importing this module loads Pillow: import it where a picture is asked for."""

import io

from PIL import Image

from api.errors import ArtifactRefused
from api.png import MAX_PNG_BYTES, MAX_PNG_PIXELS, check_png_header
from api.storage import HEAD_BYTES

# Pillow refuses what is twice as large; what lies between is refused here.
Image.MAX_IMAGE_PIXELS = MAX_PNG_PIXELS
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class UnreadableImage(ValueError):
    """A stored file is no whole PNG, or a larger one than may be stored."""


def decode_png(data: bytes) -> Image.Image:
    """Return the pixels of a PNG, as L or RGB; raises UnreadableImage. No other format is ever decoded."""
    if len(data) > MAX_PNG_BYTES:
        raise UnreadableImage("The file is larger than a stored image may be.")
    try:
        check_png_header(data[:HEAD_BYTES])
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            # A second header may say another size than the first one, which was checked.
            if image.width * image.height > MAX_PNG_PIXELS:
                raise UnreadableImage("The image has more pixels than may be stored.")
            return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    except (ArtifactRefused, OSError, SyntaxError, ValueError, *_BOMBS) as error:
        raise UnreadableImage("The file is no whole PNG.") from error
