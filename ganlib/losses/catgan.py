"""CatGAN's losses (Springenberg, 2016, equations 7 and 9), on logits of K categories.

With p the softmax of the logits and H the entropy: the discriminator wants to be certain of each real image,
uncertain of each fake, and to use all categories alike; the generator wants its fakes to be told apart with
certainty, and all categories alike. Every term lies between 0 and log K.
"""

from torch import Tensor
from torch.nn.functional import log_softmax

from ganlib.runtime.batch_sharding import batch_mean


def catgan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return mean H(p(x)) − H(mean p(x)) − mean H(p(G(z))) of logits (N, K) and (M, K), without the labels' term.

    Springenberg (2016), equation 7, turned round so that it is minimised.
    """
    return mean_entropy(real_logits) - entropy_of_mean(real_logits) - mean_entropy(fake_logits)


def catgan_generator_loss(fake_logits: Tensor) -> Tensor:
    """Return mean H(p(G(z))) − H(mean p(G(z))) of logits (N, K) (Springenberg, 2016, equation 7)."""
    return mean_entropy(fake_logits) - entropy_of_mean(fake_logits)


def entropies(logits: Tensor) -> Tensor:
    """Return the entropy (N,) in nats of each item's categories, from logits (N, K) (equation 4's terms)."""
    logarithms = log_softmax(logits, dim=1)
    return -(logarithms.exp() * logarithms).sum(1)


def mean_entropy(logits: Tensor) -> Tensor:
    """Return the mean of H(p) over logits (N, K) (Springenberg, 2016, equation 4)."""
    return entropies(logits).mean()


def entropy_of_mean(logits: Tensor) -> Tensor:
    """Return H of the mean p over logits (N, K): how evenly the categories are used (equation 6)."""
    mean = batch_mean(log_softmax(logits, dim=1).exp())
    # A category that no item has any share in adds nothing, and no gradient of log 0.
    return -(mean * mean.clamp_min(1e-30).log()).sum()
