"""The slots that a technique may fill; each does nothing unless overridden.

Order of the calls: `wrap_*` once while the run is built, `choose_*_loss` once after it, then in each iteration
`discriminator_penalty` and `after_discriminator_update` for each of the discriminator's updates,
`generator_penalty` for each of the generator's, and `after_iteration`; `choose_sampler` for each sample grid,
`choose_classifier` for each measurement of the classes that the discriminator tells. A state that matters to what
follows goes into the checkpoint through `state_dict` and `load_state_dict`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlib.losses import ONE_LOGIT, DiscriminatorLoss, GeneratorLoss, Head
from ganlib.networks.conditional import takes_labels
from ganlib.networks.simple import at_least_float32

# One pass through a network: inputs, and labels where it takes some → outputs.
Pass = Callable[..., Tensor]


@dataclass
class Networks:
    """Both players as they are trained: latents (N, L) → images (N, C, H, W) → outputs (N, M).

    head: how the discriminator's outputs are to be read. Labels are int64 (N,); a network that takes none leaves
    them out.
    """

    generator: nn.Module
    discriminator: nn.Module
    head: Head = ONE_LOGIT

    def __post_init__(self) -> None:
        """Find out once which network takes labels."""
        self._generator_takes_labels = takes_labels(self.generator)
        self._discriminator_takes_labels = takes_labels(self.discriminator)
        self._run_generator: Pass = self.generator
        self._run_discriminator: Pass = self.discriminator

    def compile(self, compile_network: Callable[[nn.Module], Pass]) -> None:
        """Let `generate` and `judge` run what compile_network makes of the networks, which stay as they are."""
        self._run_generator = compile_network(self.generator)
        self._run_discriminator = compile_network(self.discriminator)

    def generate(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (N, C, H, W) of latents (N, L)."""
        images: Tensor = (
            self._run_generator(latents, labels) if self._generator_takes_labels else self._run_generator(latents)
        )
        return images

    def judge(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return the discriminator's outputs (N, M) in float32 at least."""
        return self._judge_with(self._run_discriminator, images, labels)

    def judge_plainly(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return the same by the network itself: hooks and gradients of gradients cannot be compiled."""
        return self._judge_with(self.discriminator, images, labels)

    def realness(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return one logit (N,) for each image: how real it looks; it can be differentiated twice."""
        return self.head.realness(self.judge_plainly(images, labels))

    def _judge_with(self, run: Pass, images: Tensor, labels: Tensor | None) -> Tensor:
        return at_least_float32(run(images, labels) if self._discriminator_takes_labels else run(images))


@dataclass(frozen=True)
class StepBatch:
    """What one player's update saw.

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
    """Base of all techniques: every slot empty."""

    mixes_items = False
    """Whether it makes D's logit of one image depend on others of the batch; real and fake then go separately."""

    def wrap_generator(self, generator: nn.Module) -> nn.Module:
        """Return the generator to train in the place of this one."""
        return generator

    def wrap_discriminator(self, discriminator: nn.Module) -> nn.Module:
        """Return the discriminator to train in the place of this one."""
        return discriminator

    def start(self, networks: Networks) -> None:
        """Called once both networks lie on their device, before any checkpoint is read."""

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
        """Called after each update of the discriminator's weights."""

    def generator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor | None:
        """Return a number to add to the generator's loss, or None."""
        return None

    def after_iteration(self, networks: Networks, iteration: int) -> None:
        """Called after both updates of an iteration."""

    def choose_sampler(self, generator: nn.Module) -> nn.Module:
        """Return the network that draws the samples in the place of this one."""
        return generator

    def choose_classifier(self, discriminator: nn.Module) -> nn.Module:
        """Return the network whose classes are measured in the place of this one."""
        return discriminator

    def generators(self) -> list[torch.Generator]:
        """Return the streams of random numbers that its penalties draw from, other than torch's own."""
        return []

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must hold to go on exactly."""
        return {}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `state_dict` gave; raises KeyError or RuntimeError when it does not fit."""
