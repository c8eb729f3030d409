"""Weights whose directions are learned and whose lengths are not."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class FixedLength(nn.Module):
    """weight = length · v/‖v‖ for each output, only v is learned (Salimans et al., 2016, their released code).

    lengths: (1, …, outputs, …, 1), a buffer; as the weight's own until the first batch sets them.
    """

    lengths: Tensor

    def __init__(self, weight: Tensor, axis: int) -> None:
        super().__init__()
        self.others = [other for other in range(weight.dim()) if other != axis]
        self.register_buffer("lengths", torch.linalg.vector_norm(weight.detach(), dim=self.others, keepdim=True))

    def forward(self, directions: Tensor) -> Tensor:
        """Return the weight, of the directions' shape."""
        norms: Tensor = torch.linalg.vector_norm(directions, dim=self.others, keepdim=True)
        return directions * (self.lengths / norms)


def fix_lengths(module: nn.Module, axis: int) -> None:
    """Compute the module's weight, whose outputs lie on this axis, from directions and fixed lengths."""
    weight = module.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(module).__name__} has no weight.")
    parametrize.register_parametrization(module, "weight", FixedLength(weight, axis))


def find_lengths(module: nn.Module) -> Tensor | None:
    """Return the lengths of a module whose weights are written as lengths and directions, learned or fixed."""
    kept = getattr(module, "parametrizations", {})
    if "weight" not in kept:
        return None
    how = kept["weight"][0]
    lengths: Tensor | None = (
        how.lengths if isinstance(how, FixedLength) else getattr(kept["weight"], "original0", None)
    )
    return lengths
