"""CIFAR-10 in its own formats, for Python or binary, unpacked or as the archive; or as a zip of JPEGs."""

import codecs
import hashlib
import io
import os
import pickle
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from ganlib.datasets.downloads import (
    FileUnusable,
    advise,
    download,
    find_folders,
    list_folder,
    read_file,
    refuse_other_kinds,
)
from ganlib.datasets.folder import load_pictures
from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.datasets.pictures import PictureUnreadable
from ganlib.datasets.sources import find_in_roots, open_plain
from ganlib.errors import DatasetUnavailable
from ganlib.spec.sections.datasets import Cifar10Spec

JPEG_ZIP = "cifar10-jpeg.zip"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32

_FILES: dict[Split, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}
# md5 of the files for Python of Krizhevsky (2009), as his site gives them.
_PUBLISHED = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_BATCH = re.compile(r"(data_batch_[1-5]|test_batch|batches\.meta)(\.bin)?(\.gz)?")
_MAX_BATCH_BYTES = 64 * 1024**2
_HEAD_BYTES = 512
_FOLDERS = frozenset({"cifar10", "cifar-10", "cifar_10", "cifar-10-python", "cifar-10-binary"})
_BATCH_FOLDERS = frozenset({"cifar-10-batches-py", "cifar-10-batches-bin"})
_ARCHIVES = tuple(
    f"cifar-10-{kind}.{ending}" for kind in ("python", "binary") for ending in ("tar.gz", "tgz", "tar")
)


def load_cifar10(spec: Cifar10Spec, split: Split) -> LabelledImages | None:
    """Return the images (50000 or 10000, 3, 32, 32) of Krizhevsky (2009); raises DatasetUnavailable.

    The exact files are taken where a data folder has them, else a zip of JPEGs, else the files are downloaded.
    """
    places = _find_places()
    if not places:
        jpegs = find_in_roots(JPEG_ZIP)
        if jpegs is not None:
            return load_pictures(jpegs, 32, split)
        places = [_download()]
    missing: list[str] = []
    for place in places:
        batches = _list_batches(place)
        absent = [name for name in _FILES[split] if name not in batches]
        if not absent:
            return _read_part(place, batches, split)
        missing = missing or absent
    return _refuse(places[0], f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")


# How to get the bytes of each batch, by its name without an ending.
Batches = dict[str, Callable[[], bytes]]


def _find_places() -> list[Path]:
    """Return the folders of batches, and the archives, that the data folders hold."""
    places = []
    for folder in find_folders(_FOLDERS):
        entries = {path.name.lower(): path for path in list_folder(folder)}
        places += [path for name, path in sorted(entries.items(), reverse=True) if name in _BATCH_FOLDERS]
        places += [entries[name] for name in _ARCHIVES if name in entries]
        places += [folder] if any(_BATCH.fullmatch(name) for name in entries) else []
    return places


def _list_batches(place: Path) -> Batches:
    """Return the batches of a folder or archive; raises DatasetUnavailable for a damaged archive."""
    if place.is_dir():
        found = [(path.name.lower(), partial(read_file, path)) for path in list_folder(place)]
    else:
        try:
            found = [(name, partial(bytes, content)) for name, content in _read_archive(place)]
        except FileUnusable as error:
            _refuse(place, f"it {error}")
    return {match[1]: read for name, read in found if (match := _BATCH.fullmatch(name))}


def _read_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names, in small letters, and contents of an archive's batches; raises FileUnusable."""
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            refuse_other_kinds(file.read(_HEAD_BYTES))
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r|*") as archive:
                for member in archive:
                    name = member.name.rpartition("/")[2].lower()
                    if member.isfile() and member.size <= _MAX_BATCH_BYTES and _BATCH.fullmatch(name):
                        yield name, archive.extractfile(member).read()  # type: ignore[union-attr]
    except PictureUnreadable as error:
        raise FileUnusable(f"is {error}") from None
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise FileUnusable(f"is cut off or damaged ({error})") from None


def _read_part(place: Path, batches: Batches, split: Split) -> LabelledImages:
    pixels, labels, differing = [], [], []
    for name in _FILES[split]:
        try:
            content = batches[name]()
            values, classes = read_batch(content)
        except FileUnusable as error:
            _refuse(place, f"{name} {error}")
        pixels.append(values)
        labels.append(classes)
        if is_pickled(content) and hashlib.md5(content, usedforsecurity=False).hexdigest() != _PUBLISHED[name]:
            differing.append(name)
    class_names = _read_class_names(batches)
    targets = torch.cat(labels)
    if int(targets.max()) >= len(class_names):
        _refuse(place, f"it has labels up to {int(targets.max())}, and {len(class_names)} classes")
    warnings = (
        f"This is not the published CIFAR-10: {', '.join(differing)} in {place} "
        f"{'differs' if len(differing) == 1 else 'differ'} ({len(targets):,} images).",
    )
    return LabelledImages(torch.cat(pixels), targets, class_names, warnings if differing else ())


def read_batch(content: bytes) -> tuple[Tensor, Tensor]:
    """Return the images uint8 (N, 3, 32, 32) and labels int64 (N,) of a batch; raises FileUnusable."""
    if is_pickled(content):
        batch = unpickle(content)
        pixels, classes = batch.get("data"), batch.get("labels")
        if (
            not isinstance(pixels, np.ndarray)
            or pixels.dtype != np.uint8
            or not isinstance(classes, list | np.ndarray)
        ):
            raise FileUnusable("is no batch of CIFAR-10")
        values, labels = np.ascontiguousarray(pixels), np.asarray(classes)
    else:
        if len(content) % (1 + _PIXELS):
            raise FileUnusable(f"is cut off, or no batch of CIFAR-10: it has {len(content):,} bytes")
        records = np.frombuffer(content, dtype=np.uint8).reshape(-1, 1 + _PIXELS)
        values, labels = records[:, 1:].copy(), records[:, 0]
    if (
        values.size != len(labels) * _PIXELS
        or not len(labels)
        or labels.ndim != 1
        or labels.dtype.kind not in "iu"
    ):
        raise FileUnusable(f"has {len(labels):,} labels for {values.size / _PIXELS:,g} images")
    if labels.min() < 0:
        raise FileUnusable("has negative labels")
    return torch.from_numpy(values.reshape(-1, *SHAPE)), torch.from_numpy(labels.astype(np.int64))


def is_pickled(content: bytes) -> bool:
    """Return whether a batch is for Python; a binary one begins with a label below ten."""
    return content[:1] in (b"\x80", b"(", b"}")


def unpickle(content: bytes) -> dict[str, Any]:
    """Return the dictionary in a batch for Python, of which nothing is run; raises FileUnusable."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except FileUnusable:
        raise
    except Exception as error:  # what a damaged pickle raises is anything
        raise FileUnusable(f"is cut off or damaged ({type(error).__name__})") from None
    if not isinstance(batch, dict):
        raise FileUnusable("is no batch of CIFAR-10")
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in batch.items()}


class _ArrayUnpickler(pickle.Unpickler):
    """Makes numpy arrays, lists, numbers and texts, and nothing else: a pickle could otherwise run any code."""

    def find_class(self, module: str, name: str) -> Any:
        # numpy's modules have moved since 2009.
        allowed: dict[tuple[str, str], Any] = {
            ("multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
            ("numeric", "_frombuffer"): np._core.numeric._frombuffer,  # type: ignore[attr-defined]
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): codecs.encode,
        }
        key = (module.rpartition(".")[2] if module.startswith("numpy.") else module, name)
        if key not in allowed:
            raise FileUnusable(f"asks for {module}.{name}, which is no part of CIFAR-10")
        return allowed[key]


def _read_class_names(batches: Batches) -> tuple[str, ...]:
    try:
        names = unpickle(batches["batches.meta"]()).get("label_names")
    except (KeyError, FileUnusable):
        return CLASS_NAMES
    return tuple(map(str, names)) if isinstance(names, list) and names else CLASS_NAMES


def _download() -> Path:
    from torchvision.datasets import CIFAR10

    advice = advise(f"cifar-10-batches-py, cifar-10-python.tar.gz, or {JPEG_ZIP} with train|test/<class>/*.jpg")
    return download("CIFAR-10", "cifar-10-batches-py", lambda root: CIFAR10(root, download=True), advice)


def _refuse(place: Path, problem: str) -> NoReturn:
    what = "folder" if place.is_dir() else "file"
    raise DatasetUnavailable(
        f"CIFAR-10 in {place} cannot be read: {problem}. Put the right files there, or remove that {what} to "
        f"download it again, or use {JPEG_ZIP} with its images as train|test/<class>/*.jpg."
    )
