"""Both players of a run, and how their passes are called."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from ganlib.losses.heads import ONE_LOGIT, Head
from ganlib.networks.layers import at_least_float32, takes_labels

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
        """Let `generate` and `discriminate` run what compile_network returns; the networks themselves stay."""
        self._run_generator = compile_network(self.generator)
        self._run_discriminator = compile_network(self.discriminator)

    def generate(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (N, C, H, W) of latents (N, L)."""
        images: Tensor = (
            self._run_generator(latents, labels) if self._generator_takes_labels else self._run_generator(latents)
        )
        return images

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return the discriminator's outputs (N, M) in float32 at least."""
        return self._discriminate_with(self._run_discriminator, images, labels)

    def discriminate_eagerly(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return the same by the network itself: hooks and gradients of gradients cannot be compiled."""
        return self._discriminate_with(self.discriminator, images, labels)

    def realness(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Return one logit (N,) for each image: how real it looks; it can be differentiated twice."""
        return self.head.realness(self.discriminate_eagerly(images, labels))

    def _discriminate_with(self, run: Pass, images: Tensor, labels: Tensor | None) -> Tensor:
        return at_least_float32(run(images, labels) if self._discriminator_takes_labels else run(images))
