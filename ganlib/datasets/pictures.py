"""Image files as RGB pixels: every kind that Pillow reads, upright, on white, as people see them."""

import io
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 50_000_000
Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

DAMAGED = "damaged or cut off"
NO_IMAGE = "damaged, or no image"
TOO_LARGE = f"of more than {MAX_PIXELS:,} pixels"

# Told from any other file by how they begin, the most usual first; other kinds only where a file is named so.
_CERTAIN = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "PSD", "ICNS", "QOI", "DDS")
# EPS would start Ghostscript, a program of its own; Pillow has no pixels of the others.
_NOT_DECODED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PALM", "PDF", "WMF"})
# Images all the same, so that people miss them: they are worth a warning, and a text file is not.
OTHER_IMAGE_SUFFIXES = frozenset(
    {
        ".ai", ".arw", ".avi", ".cdr", ".cr2", ".cr3", ".dng", ".emf", ".eps", ".exr", ".h5", ".hdf", ".hdf5",
        ".hdr", ".heic", ".heif", ".jxl", ".jxr", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".nef", ".npy",
        ".npz", ".orf", ".parquet", ".pdf", ".ps", ".raf", ".raw", ".rw2", ".svg", ".svgz", ".tfrecord", ".wdp",
        ".webm", ".wmf", ".xcf",
    }
)  # fmt: skip


class PictureUnreadable(ValueError):
    """An image file that is left out; `reason` completes "is left out, …"."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@cache
def picture_suffixes() -> dict[str, str]:
    """Return the endings of the names of image files, in small letters, and the format of each."""
    Image.init()
    known = {suffix: kind for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    known |= {".mpo": "JPEG", ".pjpeg": "JPEG", ".pjp": "JPEG"}
    return {suffix: kind for suffix, kind in known.items() if kind not in _NOT_DECODED}


def decode_picture(content: bytes, size: int, suffix: str = "") -> Pixels:
    """Return the middle square of an image file, resized to uint8 (size, size, 3).

    It is turned as its EXIF data say; transparent pixels lie on white; of an animation it is the first frame;
    Lanczos resampling, antialiased. suffix: the end of the file's name, in small letters. Raises PictureUnreadable
    for what is no image or has more than 50 million pixels, and almost anything for a damaged one.
    """
    problem: Exception | None = None
    for version in _readings(content):
        try:
            return _decode(version, size, suffix)
        except Exception as error:  # decoders of damaged files raise almost anything
            if isinstance(error, PictureUnreadable) and error.reason == TOO_LARGE:
                raise
            problem = problem or error
    raise problem or PictureUnreadable(DAMAGED)


def _decode(content: bytes, size: int, suffix: str) -> Pixels:
    kind = picture_suffixes().get(suffix)
    # Older versions of Pillow lack the newest formats.
    certain = tuple(name for name in _CERTAIN if name in Image.OPEN)
    formats = certain if kind is None or kind in certain else (*certain, kind)
    try:
        picture = Image.open(io.BytesIO(content), formats=formats)
    except UnidentifiedImageError:
        raise PictureUnreadable(NO_IMAGE) from None
    except Image.DecompressionBombError:
        raise PictureUnreadable(TOO_LARGE) from None
    with picture:
        # The header is read, the pixels are not: a bomb is refused before it unfolds.
        if picture.width * picture.height > MAX_PIXELS:
            raise PictureUnreadable(TOO_LARGE)
        # A JPEG much larger than needed is decoded at a half, a quarter or an eighth at once.
        picture.draft("RGB", (2 * size, 2 * size))
        picture.load()
        _read_scale(picture, content)
        upright = _turn_upright(picture)
        side = min(upright.size)
        left, top = (upright.width - side) // 2, (upright.height - side) // 2
        square = to_rgb(upright.crop((left, top, left + side, top + side)))
        return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


def _turn_upright(picture: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken note about the picture, which is whole
        turn = None
    return picture if turn is None else picture.transpose(turn)


def to_rgb(picture: Image.Image) -> Image.Image:
    """Return a picture of any mode as RGB: deep values scaled to 8 bits, transparent pixels on white.

    16-bit values count to 65,535; those of 32 bits too, unless there are larger ones; floats to 1, or to 255 or
    65,535 where there are values above 1 or 255.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        return _flatten_deep(picture).convert("RGB")
    if picture.has_transparency_data:
        clear = picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB")


def _flatten_deep(picture: Image.Image) -> Image.Image:
    """Return a picture of deep or float values as 8-bit grey; Pillow would cut them off at 255 instead."""
    values = np.nan_to_num(np.asarray(picture).astype(np.float64), posinf=np.inf, neginf=0.0)
    finite = values[np.isfinite(values)]
    highest = finite.max(initial=0.0)
    levels = (1.0, 255.0, 65_535.0) if picture.mode == "F" else (65_535.0, float(2**31 - 1))
    white = picture.info.get("white") or next((level for level in levels if highest <= level), highest)
    grey = (values.clip(0, white) * (255 / white)).round().astype(np.uint8)
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    if picture.info.get("white_is_zero"):
        grey = 255 - grey
    return Image.fromarray(grey)


_PNG = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR = 0, 2
_BITS, _PHOTOMETRIC = 258, 262


def _read_scale(picture: Image.Image, content: bytes) -> None:
    """Note what a file says about its values where Pillow does not apply it."""
    tags: Any = getattr(picture, "tag_v2", {})
    # Pillow turns 8 bits that count from white to black the right way round, but not deeper ones.
    picture.info["white_is_zero"] = tags.get(_PHOTOMETRIC) == 0
    picture.info["white"] = 4095.0 if tags.get(_BITS) == (12,) else None
    clear = picture.info.get("transparency")
    if clear is None or not content.startswith(_PNG):
        return
    depth, kind = content[24], content[25]
    # A transparent colour counts in the file's own bits: 0 to 3 in a grey of 2 bits, to 65,535 in 16-bit RGB.
    if kind == _GREY and depth in (2, 4):
        picture.info["transparency"] = clear * 255 // (2**depth - 1)
    elif kind == _COLOUR and depth == 16:
        picture.info["transparency"] = tuple(value >> 8 for value in clear)


# The pixels of a PNG, and what may say which way up they are.
_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_NOTE_CHUNKS = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})
_ORIENTATION_KEYS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_MAX_NOTE_BYTES = 65_536


def _readings(content: bytes) -> Iterator[bytes]:
    """Yield a file, and for a PNG the same without what lies beside its pixels, in case that cannot be read.

    Pillow refuses a PNG with more than 1 MiB of text or profile, or with a damaged chunk of either.
    """
    yield content
    if content.startswith(_PNG):
        yield _keep_chunks(content, with_notes=True)
        yield _keep_chunks(content, with_notes=False)


def _keep_chunks(content: bytes, with_notes: bool) -> bytes:
    kept, start = [_PNG], len(_PNG)
    while start + 12 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4])
        kind, data = content[start + 4 : start + 8], content[start + 8 : end - 4]
        is_note = kind in _NOTE_CHUNKS and len(data) <= _MAX_NOTE_BYTES
        says_orientation = kind == b"eXIf" or data.startswith(_ORIENTATION_KEYS)
        if kind in _PIXEL_CHUNKS or (with_notes and is_note and says_orientation):
            kept.append(content[start:end])
        start = end
    return b"".join(kept)
