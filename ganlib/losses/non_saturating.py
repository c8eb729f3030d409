"""The generator's loss that does not saturate."""

from torch import Tensor
from torch.nn.functional import softplus


def non_saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """Make fakes look real: mean of -log D(G(z)) over logits (N,) (Goodfellow et al., 2014, section 3).

    Pushes fake logits up, most where D is sure that they are fake: the gradient is -sigmoid(-logit) / N.
    """
    return softplus(-fake_logits).mean()
