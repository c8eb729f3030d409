"""Training data on the device: images, the labels that a run may use, and held-out images; and its latents."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlib.datasets import (
    Fingerprint,
    LabelledImages,
    choose_labelled,
    gather_images,
    load_train_and_test,
    load_training,
)
from ganlib.errors import DatasetUnavailable, LabelBudgetInvalid
from ganlib.runtime.batch_sharding import local_items
from ganlib.runtime.random_streams import DataOrder
from ganlib.spec.job import JobSpec
from ganlib.spec.layers import takes_labels
from ganlib.spec.sections.networks import LatentsSpec


def draw_latents(spec: LatentsSpec, count: int, generator: torch.Generator) -> Tensor:
    """Draw latents (count, size): uniform in [-1, 1), or standard normal."""
    if spec.distribution == "uniform":
        return torch.rand(count, spec.size, generator=generator, device=generator.device) * 2 - 1
    return torch.randn(count, spec.size, generator=generator, device=generator.device)


@dataclass(frozen=True)
class RealBatch:
    """Real images (N, C, H, W) in [-1, 1] and their labels int64 (N,), None where the run uses none."""

    images: Tensor
    labels: Tensor | None


@dataclass(frozen=True)
class BatchIndices:
    """Indices (N,) of an update's real images, and those of the labelled images beside them, if any."""

    real: Tensor
    labelled: Tensor | None

    def clone(self) -> "BatchIndices":
        """Return the same indices in memory of their own."""
        return BatchIndices(self.real.clone(), None if self.labelled is None else self.labelled.clone())

    def copy_(self, other: "BatchIndices") -> None:
        """Take the other indices, in the memory that these have."""
        self.real.copy_(other.real)
        if self.labelled is not None and other.labelled is not None:
            self.labelled.copy_(other.labelled)


@dataclass(frozen=True)
class TrainingData:
    """The training images and how batches of them are drawn.

    images: uint8 (N, C, H, W) on the device. labels: int64 (N,) there, or None where the run uses none. labelled:
    indices (B,) of the images in the label budget, None where all labels may be used. validation: images held out
    of training, if any. warnings, notes: sentences for a person about the images. fingerprint: what the images of
    the data set are known by, None where they follow from the spec.
    """

    images: Tensor
    labels: Tensor | None
    labelled: Tensor | None
    validation: LabelledImages | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    fingerprint: Fingerprint | None
    order: DataOrder
    labelled_order: DataOrder | None

    def choose(self, number: int) -> BatchIndices:
        """Return the indices of batch `number`, the first is 1; with a label budget, of labelled images too."""
        if self.labelled is None or self.labelled_order is None:
            return BatchIndices(self.order.indices(number), None)
        return BatchIndices(self.order.indices(number), self.labelled[self.labelled_order.indices(number)])

    def gather(self, indices: BatchIndices) -> tuple[RealBatch, RealBatch | None]:
        """Return real images, with labels unless there is a label budget, and with one the labelled images too."""
        real = self._gather(indices.real, with_labels=self.labelled is None)
        return real, None if indices.labelled is None else self._gather(indices.labelled, with_labels=True)

    def _gather(self, indices: Tensor, with_labels: bool) -> RealBatch:
        indices = local_items(indices)
        has_labels = with_labels and self.labels is not None
        labels = self.labels[indices] if has_labels and self.labels is not None else None
        return RealBatch(gather_images(self.images, indices), labels)


def load_training_data(spec: JobSpec, device: torch.device) -> TrainingData:
    """Load what the spec asks for onto the device. Raises DatasetUnavailable, LabelBudgetInvalid."""
    # A classifier is tested on images that it never saw, also where the data set itself has no test part.
    data = load_train_and_test(spec.dataset)[0] if spec.losses.classes else load_training(spec.dataset)
    data, validation = hold_out_validation(spec, data)
    uses_labels = spec.losses.uses_labels or takes_labels(spec.discriminator.layers)
    if uses_labels or takes_labels(spec.generator.layers):
        check_classes(spec, data)
    labelled = None
    if uses_labels and spec.dataset.labels is not None and spec.dataset.labels != len(data.labels):
        labelled = choose_labelled(data.labels, spec.dataset.labels, spec.seed).to(device)
    return TrainingData(
        images=data.images.to(device),
        labels=data.labels.to(device) if uses_labels else None,
        labelled=labelled,
        validation=validation,
        warnings=data.warnings,
        notes=data.notes,
        fingerprint=data.fingerprint,
        order=DataOrder(spec.seed, len(data.images), spec.batch_size, device),
        labelled_order=None
        if labelled is None
        else DataOrder(spec.seed, len(labelled), spec.batch_size, device, "labelled order"),
    )


def hold_out_validation(spec: JobSpec, data: LabelledImages) -> tuple[LabelledImages, LabelledImages | None]:
    """Return the images to train on, and those that the spec holds out, if any. Raises DatasetUnavailable."""
    if not spec.dataset.validation:
        return data, None
    chosen = torch.zeros(len(data.labels), dtype=torch.bool)
    try:
        chosen[choose_labelled(data.labels, spec.dataset.validation, spec.seed, "validation")] = True
    except LabelBudgetInvalid as error:
        raise LabelBudgetInvalid(f"dataset.validation: {error}") from None
    if chosen.all():
        raise DatasetUnavailable(
            f"dataset.validation holds out all {len(chosen):,} training images; leave some to train on."
        )
    return data.pick(~chosen), data.pick(chosen)


def check_classes(spec: JobSpec, data: LabelledImages) -> None:
    """Raise DatasetUnavailable where the number of the data set's classes is not that of the spec."""
    if len(data.class_names) != spec.dataset.class_count:
        raise DatasetUnavailable(
            f"The data set {spec.dataset.name} has {len(data.class_names)} classes, but the spec counts on "
            f"{spec.dataset.class_count}; set dataset.classes to {len(data.class_names)}."
        )
