"""Folders and zips of images as one tensor: parts and classes by folder; what is left out is counted and named."""

import json
import os
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial

import PIL
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganlib.datasets.downloads import is_web_page
from ganlib.datasets.labelled import LabelledImages, Split, take_fingerprint
from ganlib.datasets.parts import Part, divide
from ganlib.datasets.pictures import DAMAGED, NO_IMAGE, PictureUnreadable, decode_picture
from ganlib.datasets.sources import (
    BESIDE_PARTS,
    DATA_VARIABLE,
    FolderSource,
    FoundPath,
    LeftOut,
    PictureSource,
    cache_dir,
    data_roots,
    find_in_roots,
    open_plain,
    show_names,
    suffix_of,
)
from ganlib.datasets.zips import ZipSource
from ganlib.errors import DatasetUnavailable
from ganlib.runtime.files import store_file
from ganlib.spec.sections.datasets import FolderSpec

# Rec. 601, as Winkler (2018), section 4.8.1, gives them.
LUMINOSITY = (0.2989, 0.5870, 0.1140)
_DECODED_CHUNK = 1024


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
_VERSION = 2
_CHUNK = 256


def load_pictures(location: FoundPath, size: int, split: Split) -> LabelledImages | None:
    """Return the images of one part of a folder or zip as RGB (N, 3, size, size), sorted by name.

    `divide` says what the parts and classes are; where there is no test part it is None. Large sets are decoded
    once and kept in the cache, by the content of their files. Raises DatasetUnavailable when nothing can be read.
    """
    with open_source(location) as source:
        if not source.names:
            raise DatasetUnavailable(_describe_nothing(source))
        layout = divide(source.names, source.title)
        part = layout.parts.get(split)
        if part is None:
            return None
        if len(part.names) * 3 * size * size > MAX_DECODED_BYTES:
            raise DatasetUnavailable(
                f"{len(part.names):,} images of {size}×{size} in {source.title} take too many bytes."
            )
        files = source.digest()
        stored_name = f"decoded/{location.path.stem}-{split}-{size}-{_VERSION}-{PIL.__version__}-{files[:32]}"
        found = _read_stored(stored_name, files)
        if found is None:
            found = _decode_all(source, part, size, files)
            if len(part.names) >= CACHED_FROM:
                _store(stored_name, *found)
        data, unread = found
    left_out = source.left_out + unread
    left_out.add(BESIDE_PARTS, *layout.strays)
    count = len(source.names) + sum(map(len, source.left_out.files.values()))
    notes = (*layout.notes, *left_out.notes(source.title))
    return replace(data, warnings=left_out.warnings(source.title, count), notes=notes)


def open_source(location: FoundPath) -> PictureSource:
    """Return the images of a folder or zip file, to be entered; raises DatasetUnavailable."""
    if location.path.is_dir():
        return FolderSource(location)
    name = location.path.name
    try:
        with os.fdopen(open_plain(location.path), "rb") as file:
            if zipfile.is_zipfile(file):
                return ZipSource(location.path)
            file.seek(0)
            head = file.read(_HEAD_BYTES)
    except PictureUnreadable as error:
        raise DatasetUnavailable(f"{name} is neither a folder nor a zip file, but {error}.") from None
    except OSError as error:
        raise DatasetUnavailable(f"{name} cannot be opened: {error.strerror}.") from None
    if head.startswith(b"PK\x03\x04"):
        raise DatasetUnavailable(
            f"{name} is cut off: a zip has the list of its files at its end, and there is none. Copy or download "
            "it again."
        )
    raise DatasetUnavailable(f"{name} is neither a folder nor a zip file{_describe_kind(head)}.")


_HEAD_BYTES = 512
_KINDS = {
    b"\x1f\x8b": "a gzip or tar.gz archive; unpack it into a folder",
    b"BZh": "a bzip2 archive; unpack it into a folder",
    b"\xfd7zXZ": "an xz archive; unpack it into a folder",
    b"7z\xbc\xaf": "a 7z archive; unpack it into a folder",
    b"Rar!": "a RAR archive; unpack it into a folder",
    b"\x89PNG": "one image; put it and others into a folder",
    b"\xff\xd8\xff": "one image; put it and others into a folder",
}


def _describe_kind(head: bytes) -> str:
    if head[257:262] == b"ustar":
        return ", but a tar archive; unpack it into a folder"
    if not head:
        return ", but an empty file"
    if is_web_page(head):
        return ", but a web page: a download that failed; download it again"
    return next((f", but {kind}" for start, kind in _KINDS.items() if head.startswith(start)), "")


def _describe_nothing(source: PictureSource) -> str:
    left_out = source.left_out
    count = sum(map(len, left_out.files.values()))
    told = " ".join(
        f"{text}." for text in (*left_out.warnings(source.title, count), *left_out.notes(source.title))
    )
    return f"{source.title} holds no images that can be read. {told}".rstrip()


def _decode_all(source: PictureSource, part: Part, size: int, files: str) -> tuple[LabelledImages, LeftOut]:
    names = part.names
    pixels = torch.empty((len(names), size, size, 3), dtype=torch.uint8)
    reasons: dict[int, str] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        # Pillow warns of notes beside the pixels that it cannot read; the pixels are what matters.
        warnings.simplefilter("ignore")
        for found in pool.map(partial(_decode_chunk, source, names, pixels), range(0, len(names), _CHUNK)):
            reasons |= found
    left_out = LeftOut()
    for index, reason in reasons.items():
        if reason == NO_IMAGE and not suffix_of(names[index]):
            left_out.others.append(names[index])
        else:
            left_out.add(reason, names[index])
    if len(reasons) == len(names):
        told = "; ".join(f"{reason}: {show_names(of_reason)}" for reason, of_reason in left_out.files.items())
        raise DatasetUnavailable(
            f"None of the {len(names):,} image files in {source.title} can be read: "
            f"{told or 'they are no images'}."
        )
    readable = torch.ones(len(names), dtype=torch.bool)
    readable[list(reasons)] = False
    images = pixels.permute(0, 3, 1, 2)
    images = (images[readable] if reasons else images).contiguous()
    labels = torch.tensor(part.labels, dtype=torch.int64)[readable]
    return take_fingerprint(LabelledImages(images, labels, part.class_names), files), left_out


def _decode_chunk(source: PictureSource, names: list[str], pixels: Tensor, start: int) -> dict[int, str]:
    """Decode up to 256 images into their places; returns why those that cannot be read are left out, by index."""
    reasons: dict[int, str] = {}
    for index in range(start, min(start + _CHUNK, len(names))):
        try:
            picture = decode_picture(source.read(names[index]), pixels.shape[1], suffix_of(names[index]))
            pixels[index] = torch.from_numpy(picture.copy())
        except PictureUnreadable as error:
            reasons[index] = error.reason
        except Exception:  # decoders of damaged files raise almost anything
            reasons[index] = DAMAGED
    return reasons


def _read_stored(name: str, files: str) -> tuple[LabelledImages, LeftOut] | None:
    path = cache_dir() / f"{name}.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["about"])
            images, labels = file.get_tensor("images"), file.get_tensor("labels")
        data = take_fingerprint(LabelledImages(images, labels, tuple(about["class_names"])), files)
        if data.fingerprint is None or data.fingerprint.pixels != about["pixels"]:
            return None
        return data, LeftOut(about["left_out"], others=about["others"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):  # not there, or not whole
        return None


def _store(name: str, data: LabelledImages, left_out: LeftOut) -> None:
    about = {
        "class_names": data.class_names,
        "left_out": left_out.files,
        "others": left_out.others,
        "pixels": data.fingerprint.pixels if data.fingerprint else "",
    }
    tensors = {"images": data.images, "labels": data.labels}
    write = partial(save_file, tensors, metadata={"about": json.dumps(about)})
    # A cache that cannot be written costs time at the next start, nothing else.
    with suppress(OSError, SafetensorError):
        store_file(cache_dir(), f"{name}.safetensors", write)


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
