"""Images with their classes; held-out parts, and label budgets."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganlib.errors import DatasetUnavailable, LabelBudgetInvalid
from ganlib.runtime.random_streams import make_generator

Split = Literal["train", "test"]

_HELD_OUT_EVERY = 6


@dataclass(frozen=True)
class LabelledImages:
    """Images uint8 (N, C, H, W) and their classes int64 (N,), an index into class_names; on the CPU.

    warnings: sentences for a person, such as how many files could not be read.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def pick(self, chosen: Tensor) -> "LabelledImages":
        """Return the images at the indices, or where the mask is true."""
        return LabelledImages(self.images[chosen], self.labels[chosen], self.class_names, self.warnings)


def hold_out(data: LabelledImages) -> tuple[LabelledImages, LabelledImages]:
    """Split off a test part where the data set has none: every sixth image, the first among them.

    Returns (train, test). Raises DatasetUnavailable for fewer than two images.
    """
    if len(data.labels) < 2:
        raise DatasetUnavailable("A data set of one image has no part to hold out; at least two are needed.")
    held_out = torch.arange(len(data.labels)) % _HELD_OUT_EVERY == 0
    return data.pick(~held_out), data.pick(held_out)


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
