"""Losses: pure functions on logits, chosen by the names that a spec may give.

Logits are D's output before any sigmoid, shape (N,), or (N, K) for CatGAN; every loss returns one number, the mean
over the batch. `heads` makes these logits from outputs that tell classes too.
"""

from collections.abc import Callable

from torch import Tensor

from ganlib.losses.adversarial import (
    hinge_discriminator_loss,
    hinge_generator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)
from ganlib.losses.catgan import catgan_discriminator_loss, catgan_generator_loss
from ganlib.losses.heads import HEADS, ONE_LOGIT, Head, class_loss

DiscriminatorLoss = Callable[[Tensor, Tensor], Tensor]
GeneratorLoss = Callable[[Tensor], Tensor]


def no_loss(*logits: Tensor) -> Tensor:
    """Return 0, where something else decides what a player minimises."""
    return logits[-1].new_zeros(())


DISCRIMINATOR_LOSSES: dict[str, DiscriminatorLoss] = {
    "minimax": minimax_discriminator_loss,
    "least_squares": least_squares_discriminator_loss,
    "hinge": hinge_discriminator_loss,
    "wasserstein": wasserstein_discriminator_loss,
    "catgan": catgan_discriminator_loss,
    "none": no_loss,
}

GENERATOR_LOSSES: dict[str, GeneratorLoss] = {
    "minimax": minimax_generator_loss,
    "non_saturating": non_saturating_generator_loss,
    "least_squares": least_squares_generator_loss,
    "hinge": hinge_generator_loss,
    "wasserstein": wasserstein_generator_loss,
    "catgan": catgan_generator_loss,
    "none": no_loss,
}

__all__ = [
    "DISCRIMINATOR_LOSSES", "GENERATOR_LOSSES", "HEADS", "ONE_LOGIT", "DiscriminatorLoss", "GeneratorLoss", "Head",
    "class_loss", "no_loss",
]  # fmt: skip
