"""Adversarial losses by name: pairs of pure functions on logits, one for each player to minimise.

Logits are D's output before any sigmoid, shape (N,), or (N, K) for CatGAN; every loss returns one number, the mean
over the batch. `heads` makes these logits from outputs that hold classes too.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import log_softmax, relu, softplus

from ganlib.runtime.batch_sharding import batch_mean

DiscriminatorLoss = Callable[[Tensor, Tensor], Tensor]
GeneratorLoss = Callable[[Tensor], Tensor]


def minimax_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Tell real from fake: mean of -log D(x) over real logits plus mean of -log(1 - D(G(z))) over fake ones.

    Pushes real logits (N,) up and fake logits (M,) down (Goodfellow et al., 2014, equation 1).
    """
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def minimax_generator_loss(fake_logits: Tensor) -> Tensor:
    """Make fakes look real: mean of log(1 - D(G(z))) over logits (N,) (Goodfellow et al., 2014, equation 1).

    Pushes fake logits up, but hardly at all where D is sure that they are fake: the gradient is
    -sigmoid(logit) / N, which vanishes for very negative logits.
    """
    return -softplus(fake_logits).mean()


def non_saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """Make fakes look real: mean of -log D(G(z)) over logits (N,) (Goodfellow et al., 2014, section 3).

    Pushes fake logits up, most where D is sure that they are fake: the gradient is -sigmoid(-logit) / N.
    """
    return softplus(-fake_logits).mean()


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


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Tell real from fake: mean max(0, 1 - D(x)) over real logits plus mean max(0, 1 + D(G(z))) over fake ones.

    Pushes real logits (N,) up to 1, fake ones (M,) down to -1, and neither further (Miyato et al., 2018,
    equation 16).
    """
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits: Tensor) -> Tensor:
    """Make fakes look real: mean of -D(G(z)) over logits (N,) (Miyato et al., 2018, equation 17).

    Pushes fake logits up with the gradient -1 / N wherever they are.
    """
    return -fake_logits.mean()


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


def catgan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return mean H(p(x)) − H(mean p(x)) − mean H(p(G(z))) of logits (N, K) and (M, K), without the labels' term.

    With p the softmax of K categories and H the entropy: D is to be certain of each real image, uncertain of each
    fake, and to use all categories alike; every term lies between 0 and log K. Springenberg (2016), equation 7,
    negated so that it is minimised.
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
    # An unused category adds nothing, and no gradient of log 0.
    return -(mean * mean.clamp_min(1e-30).log()).sum()


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
