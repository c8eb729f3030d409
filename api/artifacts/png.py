"""Checks a PNG's header without decoding pixels."""

import struct

from api.errors import ArtifactRefused

MAX_PNG_BYTES = 8 * 1_048_576
MAX_PNG_PIXELS = 16_000_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# PNG specification, table 11.1: the allowed bit depths of each colour type.
_BIT_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def check_png_header(head: bytes) -> tuple[int, int]:
    """Return (width, height) of a PNG that begins with these 33 bytes or more; raises ArtifactRefused."""
    if len(head) < 33 or not head.startswith(_SIGNATURE):
        raise ArtifactRefused("The file is not a PNG.")
    length, kind, width, height, depth, colour, *methods = struct.unpack(">I4sIIBBBBB", head[8:29])
    if (length, kind) != (13, b"IHDR") or depth not in _BIT_DEPTHS.get(colour, ()) or max(methods) > 1:
        raise ArtifactRefused("The PNG's header is damaged.")
    if width < 1 or height < 1 or width * height > MAX_PNG_PIXELS:
        raise ArtifactRefused(
            f"The image has {width} × {height} pixels; the limit is {MAX_PNG_PIXELS:,}.",
            width=width, height=height,
        )  # fmt: skip
    return width, height
