"""Least squares losses (Mao et al., 2017, equation 2) with the labels of their 0-1 coding.

The labels are a = 0 for fakes, b = 1 for real images and c = 1, what the generator wants fakes to be judged as
(equation 9). D's output is taken as it is, without a sigmoid.
"""

from torch import Tensor

FAKE_LABEL = 0.0  # a
REAL_LABEL = 1.0  # b
WANTED_LABEL = 1.0  # c


def least_squares_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Tell real from fake: half the mean (D(x) - b)² over real logits plus that of (D(G(z)) - a)² over fakes.

    Pulls real logits (N,) to 1 and fake ones (M,) to 0, from both sides (Mao et al., 2017, equation 2).
    """
    real_part = (real_logits - REAL_LABEL).square().mean()
    fake_part = (fake_logits - FAKE_LABEL).square().mean()
    return (real_part + fake_part) / 2


def least_squares_generator_loss(fake_logits: Tensor) -> Tensor:
    """Make fakes look real: ½ mean (D(G(z)) - c)² over logits (N,) (Mao et al., 2017, equation 2).

    Pulls fake logits to 1, also those that are above it.
    """
    return (fake_logits - WANTED_LABEL).square().mean() / 2
