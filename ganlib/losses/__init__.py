"""Losses: pure functions on logits, chosen by the names that a spec may give.

Logits are D's output before any sigmoid, shape (N,); every loss returns one number, the mean over the batch.
"""

from collections.abc import Callable

from torch import Tensor

from ganlib.losses.hinge import hinge_discriminator_loss, hinge_generator_loss
from ganlib.losses.least_squares import least_squares_discriminator_loss, least_squares_generator_loss
from ganlib.losses.minimax import minimax_discriminator_loss, minimax_generator_loss
from ganlib.losses.non_saturating import non_saturating_generator_loss
from ganlib.losses.wasserstein import wasserstein_discriminator_loss, wasserstein_generator_loss

DiscriminatorLoss = Callable[[Tensor, Tensor], Tensor]
GeneratorLoss = Callable[[Tensor], Tensor]

DISCRIMINATOR_LOSSES: dict[str, DiscriminatorLoss] = {
    "minimax": minimax_discriminator_loss,
    "least_squares": least_squares_discriminator_loss,
    "hinge": hinge_discriminator_loss,
    "wasserstein": wasserstein_discriminator_loss,
}

GENERATOR_LOSSES: dict[str, GeneratorLoss] = {
    "minimax": minimax_generator_loss,
    "non_saturating": non_saturating_generator_loss,
    "least_squares": least_squares_generator_loss,
    "hinge": hinge_generator_loss,
    "wasserstein": wasserstein_generator_loss,
}

__all__ = ["DISCRIMINATOR_LOSSES", "GENERATOR_LOSSES", "DiscriminatorLoss", "GeneratorLoss"]
