"""Layers of a line or two."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib.runtime.batch_sharding import is_dealt, own_items, whole_like


def at_least_float32(numbers: Tensor) -> Tensor:
    """Return the numbers in float32 if they were in a shorter format."""
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32))


class FlatLinear(nn.Linear):
    """Fully connected layer that flattens its input: (N, …) → (N, out_features)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return (N, out_features)."""
        return super().forward(input.flatten(1))


class GaussianNoise(nn.Module):
    """Add noise from N(0, std²) while training; any shape."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, activations: Tensor) -> Tensor:
        """Return the same shape."""
        if not self.training:
            return activations
        return activations + self.std * own_items(torch.randn_like(whole_like(activations)))


class Dropout(nn.Dropout):
    """Torch's dropout, whose numbers in a batch that several processes share are those of one process."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the same shape."""
        if not (self.training and is_dealt()):
            return super().forward(input)
        return input * own_items(functional.dropout(torch.ones_like(whole_like(input)), self.p))


class FixedScale(nn.Module):
    """factor · number + offset, neither of them learned; any shape."""

    def __init__(self, factor: float, offset: float) -> None:
        super().__init__()
        self.factor = factor
        self.offset = offset

    def forward(self, activations: Tensor) -> Tensor:
        """Return the same shape."""
        return activations * self.factor + self.offset


class Before(nn.Module):
    """A network whose images go through another module first, while training."""

    def __init__(self, change: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.change = change
        self.network = network

    def forward(self, images: Tensor, *others: Tensor) -> Tensor:
        """Return what the network makes of the changed images."""
        outputs: Tensor = self.network(self.change(images) if self.training else images, *others)
        return outputs
