"""The two sides of the minimax game (Goodfellow et al., 2014, equation 1), written on logits.

With D = sigmoid(logit): -log D = softplus(-logit) and -log(1 - D) = softplus(logit), which never overflow.
"""

from torch import Tensor
from torch.nn.functional import softplus


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
