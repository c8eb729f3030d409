"""Hinge losses (Lim and Ye, 2017; as written by Miyato et al., 2018, equations 16 and 17)."""

from torch import Tensor
from torch.nn.functional import relu


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
