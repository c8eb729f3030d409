"""The slots that a technique may fill; each does nothing unless overridden.

Order of the calls: `wrap_*` once while the run is built, `choose_*` once after it, then in each iteration
`discriminator_penalty` and `after_discriminator_update` for each of the discriminator's updates,
`generator_penalty` for each of the generator's, and `after_iteration`; `choose_sampler` for each sample grid. A
state that matters to what follows goes into the checkpoint through `state_dict` and `load_state_dict`.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from ganlib.losses import DiscriminatorLoss, GeneratorLoss


@dataclass
class Networks:
    """Both players as they are trained: latents (N, L) → images (N, C, H, W) → logits (N, 1)."""

    generator: nn.Module
    discriminator: nn.Module


@dataclass(frozen=True)
class StepBatch:
    """What one player's update saw.

    real_images, fake_images: (N, C, H, W) in [-1, 1]. latents: (N, L). real_logits, fake_logits: (N,) float32.
    In the generator's update no real logits are computed: real_logits is None. iteration: the first is 1.
    """

    real_images: Tensor
    fake_images: Tensor
    latents: Tensor
    real_logits: Tensor | None
    fake_logits: Tensor
    iteration: int


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

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must hold to go on exactly."""
        return {}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `state_dict` gave; raises KeyError or RuntimeError when it does not fit."""
