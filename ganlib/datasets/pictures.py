"""Folders and zips of images as one tensor: classes by folder, unreadable files skipped and counted."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganlib.datasets.decoding import decode_picture
from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.datasets.picture_sources import SUFFIXES, PictureSource, open_source
from ganlib.datasets.roots import FoundPath, cache_dir
from ganlib.errors import DatasetUnavailable
from ganlib.files import store_file

MAX_DECODED_BYTES = 8 * 1024**3
# Fewer images are decoded in a second or two; a stored copy would only take up the disk.
CACHED_FROM = 2_000
# Raised whenever the same file would give other pixels.
_VERSION = 1
_CHUNK = 256
_NAMED_SKIPPED = 3


def load_pictures(found: FoundPath, size: int, split: Split) -> LabelledImages | None:
    """Return all images of a folder or zip as RGB (N, 3, size, size), sorted by name; labels follow the folders.

    A class is a folder that holds images; class names are sorted. Where all images lie in `train` and `test`,
    those are the parts; elsewhere there is no test part (None). Large sets are decoded once and kept in the
    cache. Raises DatasetUnavailable when nothing can be read.
    """
    unread = open_source(found)
    stored_name = f"decoded/{found.path.stem}-{split}-{size}-{_VERSION}-{unread.digest[:16]}"
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
