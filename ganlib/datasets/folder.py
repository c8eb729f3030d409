"""Folders and zips of images as one tensor: classes by folder, unreadable files skipped and counted."""

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.datasets.sources import (
    DATA_VARIABLE,
    SUFFIXES,
    FoundPath,
    PictureSource,
    cache_dir,
    data_roots,
    find_in_roots,
    open_source,
)
from ganlib.errors import DatasetUnavailable
from ganlib.runtime.files import store_file
from ganlib.spec.sections.datasets import FolderSpec

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_MAX_PIXELS = 50_000_000
# Rec. 601, as Winkler (2018), section 4.8.1, gives them.
LUMINOSITY = (0.2989, 0.5870, 0.1140)
_DECODED_CHUNK = 1024


def decode_picture(content: bytes, size: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Return the middle square of an image file, resized to uint8 (size, size, 3).

    It is turned as its EXIF data say; transparent pixels lie on white; Lanczos resampling, antialiased. Raises
    ValueError for one of more than 50 million pixels, and almost anything for a damaged one.
    """
    with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
        # The header is read, the pixels are not: a bomb is refused before it unfolds.
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"{picture.width}×{picture.height} pixels are too many")
        # A JPEG much larger than needed is decoded at a half, a quarter or an eighth at once.
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
        (chunk * weights).sum(1, keepdim=True).round().to(torch.uint8)
        for chunk in torch.split(images, _DECODED_CHUNK)
    ]
    return torch.cat(parts)


MAX_DECODED_BYTES = 8 * 1024**3
# Fewer images are decoded in a second or two; a stored copy would only take up the disk.
CACHED_FROM = 2_000
# Raised whenever the same file would give other pixels.
_VERSION = 1
_CHUNK = 256
_NAMED_SKIPPED = 3


def load_pictures(location: FoundPath, size: int, split: Split) -> LabelledImages | None:
    """Return all images of a folder or zip as RGB (N, 3, size, size), sorted by name; labels follow the folders.

    A class is a folder that holds images; class names are sorted. Where all images are in `train` and `test`,
    those are the parts; elsewhere there is no test part (None). Large sets are decoded once and kept in the
    cache. Raises DatasetUnavailable when nothing can be read.
    """
    unread = open_source(location)
    stored_name = f"decoded/{location.path.stem}-{split}-{size}-{_VERSION}-{unread.digest[:16]}"
    stored = _read_stored(stored_name)
    if stored is not None:
        return stored
    with unread as source:
        if not source.names:
            raise DatasetUnavailable(f"{source.title} holds no images ({', '.join(SUFFIXES)}).")
        part = _choose_part(source.names, split)
        count = len(part.names)
        if count * 3 * size * size > MAX_DECODED_BYTES:
            raise DatasetUnavailable(f"{count:,} images of {size}×{size} in {source.title} take too many bytes.")
        data = _decode_all(source, part, size) if part.names else None
    if data is not None and count >= CACHED_FROM:
        _store(stored_name, data)
    return data


@dataclass(frozen=True)
class _Part:
    """The image files of one part, and the class (an index into class_names) of each."""

    names: list[str]
    labels: list[int]
    class_names: tuple[str, ...]


def _choose_part(names: list[str], split: Split) -> _Part:
    """Return the files that belong to the part; a class is a folder, named from where the folders part ways."""
    folders = [tuple(name.split("/")[:-1]) for name in names]
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    shared = len(list(levels)) if len(set(folders)) > 1 else -1
    folders = [folder[shared:] for folder in folders]
    parts = ["train"] * len(names)
    if {folder[:1] for folder in folders} == {("train",), ("test",)}:
        parts = [folder[0] for folder in folders]
        folders = [folder[1:] for folder in folders]
    classes = ["/".join(folder) or "." for folder in folders]
    class_names = tuple(sorted(set(classes)))
    numbers = {name: number for number, name in enumerate(class_names)}
    kept = [index for index, part in enumerate(parts) if part == split]
    return _Part([names[index] for index in kept], [numbers[classes[index]] for index in kept], class_names)


def _decode_all(source: PictureSource, part: _Part, size: int) -> LabelledImages:
    names = part.names
    pixels = torch.empty((len(names), size, size, 3), dtype=torch.uint8)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        masks = pool.map(partial(_decode_chunk, source, names, pixels), range(0, len(names), _CHUNK))
        readable = torch.cat(list(masks))
    skipped = [name for name, good in zip(names, readable.tolist(), strict=True) if not good]
    if len(skipped) == len(names):
        raise DatasetUnavailable(f"None of the {len(names):,} image files in {source.title} can be read.")
    images = pixels.permute(0, 3, 1, 2)
    images = images[readable] if skipped else images
    labels = torch.tensor(part.labels, dtype=torch.int64)[readable]
    warnings = _describe_skipped(source.title, skipped, len(names))
    return LabelledImages(images.contiguous(), labels, part.class_names, warnings)


def _decode_chunk(source: PictureSource, names: list[str], pixels: Tensor, start: int) -> Tensor:
    """Decode up to 256 images into their places; returns which could be read, as a mask."""
    part = names[start : start + _CHUNK]
    readable = torch.ones(len(part), dtype=torch.bool)
    for index, name in enumerate(part):
        try:
            pixels[start + index] = torch.from_numpy(decode_picture(source.read(name), pixels.shape[1]).copy())
        except Exception:  # decoders of damaged files raise almost anything
            readable[index] = False
    return readable


def _describe_skipped(title: str, skipped: list[str], count: int) -> tuple[str, ...]:
    if not skipped:
        return ()
    named = ", ".join(ascii(name)[1:-1] for name in skipped[:_NAMED_SKIPPED])
    more = ", …" if len(skipped) > _NAMED_SKIPPED else ""
    return (
        f"{len(skipped):,} of {count:,} image files in {title} cannot be read and are left out: {named}{more}",
    )


def _read_stored(name: str) -> LabelledImages | None:
    path = cache_dir() / f"{name}.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["about"])
            return LabelledImages(
                file.get_tensor("images"),
                file.get_tensor("labels"),
                tuple(about["class_names"]),
                tuple(about["warnings"]),
            )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):  # not there, or not whole
        return None


def _store(name: str, data: LabelledImages) -> None:
    about = json.dumps({"class_names": data.class_names, "warnings": data.warnings})
    tensors = {"images": data.images, "labels": data.labels}
    # A cache that cannot be written costs time at the next start, nothing else.
    with suppress(OSError, SafetensorError):
        store_file(cache_dir(), f"{name}.safetensors", lambda path: save_file(tensors, path, {"about": about}))


def load_folder(spec: FolderSpec, split: Split) -> LabelledImages | None:
    """Return the images as RGB (N, 3, size, size); raises DatasetUnavailable."""
    location = find_in_roots(spec.path)
    if location is None:
        places = " or ".join(str(root) for root in data_roots())
        raise DatasetUnavailable(
            f"There is no folder or zip {spec.path} in {places}: put it there, or set {DATA_VARIABLE} to the "
            "folder that it is in."
        )
    return load_pictures(location, spec.size, split)
