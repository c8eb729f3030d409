"""Images with their classes; held-out parts, label budgets, and what images are known by."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ganlib.errors import DatasetUnavailable, LabelBudgetInvalid
from ganlib.runtime.random_streams import make_generator

Split = Literal["train", "test"]

_HELD_OUT_EVERY = 6
_SHOWN_CLASSES = 10


@dataclass(frozen=True)
class Fingerprint:
    """What images are known by: their content, wherever they lie and whatever their times say.

    pixels: sha256 of images and labels as they lie on disk. files: sha256 of the files that they were decoded
    from, "" where pixels are not decoded. count: of images. class_names: of them.
    """

    pixels: str
    files: str
    count: int
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class LabelledImages:
    """Images uint8 (N, C, H, W) and their classes int64 (N,), an index into class_names; on the CPU.

    warnings: sentences for a person, such as how many files could not be read. notes: others, such as which folder
    was taken for which part. fingerprint: of the whole part that these were picked from, if it was taken.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprint: Fingerprint | None = None

    def pick(self, chosen: Tensor) -> "LabelledImages":
        """Return the images at the indices, or where the mask is true."""
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])


_HASH_CHUNK = 16 * 1024 * 1024


def take_fingerprint(data: LabelledImages, files: str = "") -> LabelledImages:
    """Return the images with their fingerprint; several threads hash the pixels, 1 GB in about a second."""
    pixels = hash_tensors(data.images, data.labels)
    return replace(data, fingerprint=Fingerprint(pixels, files, len(data.labels), data.class_names))


def hash_tensors(*tensors: Tensor) -> str:
    """Return a sha256 of the types, shapes and values of tensors on the CPU."""
    whole = hashlib.sha256()
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for tensor in tensors:
            whole.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
            parts = [content[start : start + _HASH_CHUNK] for start in range(0, len(content), _HASH_CHUNK)]
            for digest in pool.map(lambda part: hashlib.sha256(part).digest(), parts):
                whole.update(digest)
    return whole.hexdigest()


def hold_out(data: LabelledImages) -> tuple[LabelledImages, LabelledImages]:
    """Split off a test part where the data set has none: every sixth image, the first among them.

    If that leaves a class without its share in either part, every sixth image of each class is held out instead,
    the first among them; a class of one image is trained on. Returns (train, test). Raises DatasetUnavailable for
    fewer than two images.
    """
    if len(data.labels) < 2:
        raise DatasetUnavailable("A data set of one image has no part to hold out; at least two are needed.")
    labels = data.labels.cpu()
    held_out = torch.arange(len(labels)) % _HELD_OUT_EVERY == 0
    sizes = torch.bincount(labels)
    shares = torch.bincount(labels[held_out], minlength=len(sizes)).double() / sizes
    least, most = 0.5 / _HELD_OUT_EVERY, 2 / _HELD_OUT_EVERY
    # A share of a few images cannot be nearer: what counts there is that both parts have some.
    is_fair = (shares >= least) & ((shares <= most) | ((shares < 1) & (sizes < _HELD_OUT_EVERY)))
    if not bool(is_fair[sizes > 0].all()):
        held_out = (_rank_in_class(labels) % _HELD_OUT_EVERY == 0) & (sizes[labels] > 1)
    if not bool(held_out.any()):
        raise DatasetUnavailable(
            "No class has two images, one of which could be held out; at least two are needed."
        )
    return data.pick(~held_out), data.pick(held_out)


def _rank_in_class(labels: Tensor) -> Tensor:
    """Return how many images of its own class come before each image, int64 (N,)."""
    ranks = torch.empty_like(labels)
    for label in torch.unique(labels).tolist():
        members = (labels == label).nonzero().squeeze(1)
        ranks[members] = torch.arange(len(members))
    return ranks


def warn_of_gaps(training: LabelledImages, test: LabelledImages) -> LabelledImages:
    """Return the training part with a warning for classes that only one of the two parts has images of."""
    trained, tested = set(torch.unique(training.labels).tolist()), set(torch.unique(test.labels).tolist())
    warnings = []
    for missing, words in (
        (trained - tested, "No test image shows {}: what is measured says nothing of it."),
        (tested - trained, "No training image shows {}, but test images do."),
    ):
        if missing:
            names = [training.class_names[label] for label in sorted(missing)]
            shown = ", ".join(names[:_SHOWN_CLASSES]) + (" and more" if len(names) > _SHOWN_CLASSES else "")
            warnings.append(words.format(f"the class{'es' if len(names) > 1 else ''} {shown}"))
    return replace(training, warnings=(*training.warnings, *warnings))


def choose_labelled(labels: Tensor, count: int, seed: int, purpose: str = "labels") -> Tensor:
    """Return the indices (count,), ascending, of the images that keep their label in a budget of `count`.

    labels: int64 (N,). Classes get the same number each; where count is no multiple of the classes, the seed
    draws which of them get one more. The same seed and purpose give the same indices on every device. Raises
    LabelBudgetInvalid when a class would get none, or has too few images.
    """
    labels = labels.cpu()
    classes, sizes = torch.unique(labels, return_counts=True)
    if count < len(classes):
        raise LabelBudgetInvalid(
            f"{count} labels are too few for {len(classes)} classes: each needs one at least."
        )
    if count > len(labels):
        raise LabelBudgetInvalid(f"{count:,} labels were asked for, but there are only {len(labels):,} images.")
    generator = make_generator(torch.device("cpu"), seed, purpose)
    share, rest = divmod(count, len(classes))
    gets_extra = torch.randperm(len(classes), generator=generator) < rest
    indices = []
    for index, (label, size) in enumerate(zip(classes.tolist(), sizes.tolist(), strict=True)):
        needed = share + int(gets_extra[index])
        if needed > size:
            raise LabelBudgetInvalid(
                f"{count:,} labels are {needed:,} for class {label}, which has only {size:,} images: "
                f"ask for at most {int(sizes.min()) * len(classes):,}."
            )
        members = (labels == label).nonzero().squeeze(1)
        indices.append(members[torch.randperm(size, generator=generator)[:needed]])
    return torch.cat(indices).sort().values
