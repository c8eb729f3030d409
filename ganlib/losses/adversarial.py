"""Adversarial losses: pairs of pure functions on logits (N,), minimised by each player."""

from torch import Tensor
from torch.nn.functional import relu, softplus


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
