"""Losses from the Wasserstein-1 distance (Arjovsky et al., 2017, equations 2 and 3).

They mean something only while D's slope is bounded: by weight clipping, a gradient penalty, or normalised weights.
The discriminator's loss is minus the estimated distance, and so usually below 0.
"""

from torch import Tensor


def wasserstein_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Tell real from fake: mean of fake logits minus mean of real ones (Arjovsky et al., 2017, algorithm 1).

    Pushes real logits (N,) up and fake ones (M,) down without end; minus this loss estimates the distance.
    """
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator_loss(fake_logits: Tensor) -> Tensor:
    """Make fakes look real: mean of -D(G(z)) over logits (N,) (Arjovsky et al., 2017, algorithm 1).

    Pushes fake logits up with the gradient -1 / N wherever they are.
    """
    return -fake_logits.mean()
