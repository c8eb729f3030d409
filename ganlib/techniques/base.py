"""The bases of a technique: its section of the spec, and the slots of the trainer that it may fill.

This module is free of PyTorch at run time, because the service reads the sections too.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from ganlib.errors import Problem
from ganlib.spec.fields import Section
from ganlib.spec.sections.datasets import DatasetSpec
from ganlib.spec.sections.execution import SpeedSpec
from ganlib.spec.sections.losses import LossesSpec
from ganlib.spec.sections.networks import NetworkSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ganlib.losses.adversarial import DiscriminatorLoss, GeneratorLoss
    from ganlib.networks.players import Networks


class OtherSections(Protocol):
    """The parts of a job spec that techniques look at; a JobSpec has them."""

    @property
    def seed(self) -> int:
        """The run's seed."""

    @property
    def dataset(self) -> DatasetSpec:
        """The images to learn from."""

    @property
    def generator(self) -> NetworkSpec:
        """The generator's layers."""

    @property
    def discriminator(self) -> NetworkSpec:
        """The discriminator's layers."""

    @property
    def losses(self) -> LossesSpec:
        """Both players' losses."""

    @property
    def speed(self) -> SpeedSpec:
        """Shortcuts of the steps."""


class TechniqueSection(Section):
    """Base of the techniques' sections of the spec; a subclass gives `technique` its name as the default.

    needs_gan: it means nothing to a classifier that is trained alone. adds_to_discriminator_loss: the logged loss
    of the discriminator holds its penalty. draws_samples: sample grids come from what it keeps, not from the
    generator. position: its place in lists of all techniques; equal ones follow by name.
    """

    needs_gan: ClassVar[bool] = True
    adds_to_discriminator_loss: ClassVar[bool] = False
    draws_samples: ClassVar[bool] = False
    position: ClassVar[int] = 100

    technique: str

    def find_problem(self, field: str, spec: OtherSections) -> Problem | None:
        """Return what does not fit the rest of the spec, or None; `field` is this section's path."""
        return None

    @abstractmethod
    def build(self, spec: OtherSections) -> Technique:
        """Return the technique for one run."""


@dataclass(frozen=True)
class StepBatch:
    """The images and logits of one player's update.

    real_images, fake_images: (N, C, H, W) in [-1, 1]. latents: (N, L). real_logits, fake_logits: (N,) float32, how
    real each image looks. In the generator's update no real logits are computed: real_logits is None. iteration:
    the first is 1. real_labels, fake_labels: int64 (N,), None where the run has none.
    """

    real_images: Tensor
    fake_images: Tensor
    latents: Tensor
    real_logits: Tensor | None
    fake_logits: Tensor
    iteration: int
    real_labels: Tensor | None = None
    fake_labels: Tensor | None = None


class Technique:
    """Base of all techniques: every slot empty.

    Order of the calls: `wrap_*` once while the run is built, `choose_*_loss` once after it, then in each iteration
    `discriminator_penalty` and `after_discriminator_update` for each of the discriminator's updates,
    `generator_penalty` for each of the generator's, and `after_iteration`; `choose_sampler` for each sample grid,
    `choose_classifier` for each measurement of the discriminator's classes, `metrics` for each event of metrics. A
    state that matters to what follows goes into the checkpoint through `state_dict` and `load_state_dict`.
    """

    mixes_items = False
    """True where D's logit of one image depends on others of the batch; real and fake then go separately."""

    def wrap_generator(self, generator: nn.Module) -> nn.Module:
        """Return the generator to train in the place of this one."""
        return generator

    def wrap_discriminator(self, discriminator: nn.Module) -> nn.Module:
        """Return the discriminator to train in the place of this one."""
        return discriminator

    def start(self, networks: Networks) -> None:
        """Begin, once both networks lie on their device, before any checkpoint is read."""

    def choose_discriminator_loss(self, loss: DiscriminatorLoss) -> DiscriminatorLoss:
        """Return the loss to use in the place of this one."""
        return loss

    def choose_generator_loss(self, loss: GeneratorLoss) -> GeneratorLoss:
        """Return the loss to use in the place of this one."""
        return loss

    def discriminator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor | None:
        """Return a number to add to the discriminator's loss, or None."""
        return None

    def after_discriminator_update(self, networks: Networks) -> None:
        """Act after each update of the discriminator's weights."""

    def generator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor | None:
        """Return a number to add to the generator's loss, or None."""
        return None

    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Act after both updates of an iteration."""

    def choose_sampler(self, generator: nn.Module) -> nn.Module:
        """Return the network that draws the samples in the place of this one."""
        return generator

    def choose_classifier(self, discriminator: nn.Module) -> nn.Module:
        """Return the network whose classes are measured in the place of this one."""
        return discriminator

    def metrics(self) -> dict[str, Tensor]:
        """Return numbers () to log by the names of their metrics, on the device; they are copied."""
        return {}

    def generators(self) -> list[torch.Generator]:
        """Return the streams of random numbers that its penalties draw from, other than torch's own."""
        return []

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must hold to resume exactly."""
        return {}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `state_dict` gave; raises KeyError or RuntimeError when it does not fit."""
