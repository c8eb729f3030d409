"""The real images that samples are compared with: a few to look at, and many to find copies of."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ganlib.datasets import load_test_part
from ganlib.evaluation.signals import samples
from ganlib.training.state import TrainingState

# Real images that go through the discriminator at each measurement.
SEEN_COUNT = 128
# Training images among which a sample's nearest is looked for.
SEARCHED_COUNT = 4096
_CHUNK = 2048
# Data sets whose test part costs next to nothing to read.
_QUICK_TEST_PARTS = ("mnist", "gaussians")


@dataclass(frozen=True)
class References:
    """Images uint8 (N, C, H, W) on the device, evenly picked, with labels int64 (N,) where the run uses them.

    training: of those trained on. held_out: none of which is trained on; maybe none at all. searched: many of the
    training images. labels: of these.
    """

    training: Tensor
    training_labels: Tensor | None
    held_out: Tensor
    held_out_labels: Tensor | None
    searched: Tensor
    labels: Tensor | None
    class_count: int

    @cached_property
    def vectors(self) -> Tensor:
        """The searched images as `samples.shrink` makes them."""
        return torch.cat([samples.shrink(chunk) for chunk in torch.split(self.searched, _CHUNK)])

    @cached_property
    def real(self) -> Tensor:
        """The training images that are looked at, shrunk."""
        return samples.shrink(self.training)

    @cached_property
    def copy_bounds(self) -> tuple[Tensor, Tensor]:
        """The median and the 1 % quantile of the distance of unseen images to their nearest training image."""
        if len(self.held_out):
            nearest = samples.nearest_in(samples.shrink(self.held_out), self.vectors)
        else:
            # Each of some training images is as good as unseen by all others.
            picked = pick_evenly(len(self.vectors), 4 * SEEN_COUNT).to(self.vectors.device)
            nearest = samples.nearest_in(self.vectors[picked], self.vectors, skip_equal=True)
        return nearest.median(), nearest.quantile(0.01)

    @cached_property
    def classes(self) -> "ClassMeans | None":
        """What the classes look like on average; None where the run uses no labels."""
        if self.labels is None:
            return None
        means = torch.zeros(self.class_count, self.vectors.shape[1], device=self.vectors.device)
        counts = torch.bincount(self.labels, minlength=self.class_count).clamp_min(1)
        centroids = means.index_add_(0, self.labels, self.vectors) / counts[:, None]
        return ClassMeans(centroids, samples.centroid_agreement(self.vectors, self.labels, centroids))


@dataclass(frozen=True)
class ClassMeans:
    """The mean (K, D) of each class's images, and the share () of them that are nearest to their own class's."""

    centroids: Tensor
    own_agreement: Tensor


def pick_evenly(count: int, wanted: int) -> Tensor:
    """Return indices of `wanted` of `count` items at equal distances, of all where there are fewer."""
    return torch.linspace(0, count - 1, min(count, wanted)).round().long()


def choose_references(state: TrainingState) -> References:
    """Choose a run's references: what is held out is its validation part, or a test part that is quickly read."""
    data, device = state.data, state.device
    seen = pick_evenly(len(data.images), SEEN_COUNT).to(device)
    searched = pick_evenly(len(data.images), SEARCHED_COUNT).to(device)
    held_out, held_out_labels = data.images[:0], None
    unseen = data.validation
    if unseen is None and state.spec.dataset.name in _QUICK_TEST_PARTS:
        unseen = load_test_part(state.spec.dataset)
    if unseen is not None:
        chosen = pick_evenly(len(unseen.labels), SEEN_COUNT)
        held_out, held_out_labels = unseen.images[chosen].to(device), unseen.labels[chosen].to(device)
    labels = data.labels
    return References(
        training=data.images[seen],
        training_labels=None if labels is None else labels[seen],
        held_out=held_out,
        held_out_labels=held_out_labels,
        searched=data.images[searched],
        labels=None if labels is None else labels[searched],
        class_count=state.spec.dataset.class_count,
    )
