"""Signals of the networks: gradients, weights, updates, dead and saturated units, singular values."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ganlib.vocabulary import (
    DISCRIMINATOR_CHANGE,
    DISCRIMINATOR_DEAD,
    DISCRIMINATOR_GRADIENT,
    DISCRIMINATOR_SATURATED,
    DISCRIMINATOR_WEIGHTS,
    GENERATOR_CHANGE,
    GENERATOR_DEAD,
    GENERATOR_GRADIENT,
    GENERATOR_SATURATED,
    GENERATOR_WEIGHTS,
    SPECTRAL_NORM,
)

NORMS = {"generator": GENERATOR_WEIGHTS, "discriminator": DISCRIMINATOR_WEIGHTS}
GRADIENTS = {"generator": GENERATOR_GRADIENT, "discriminator": DISCRIMINATOR_GRADIENT}
CHANGES = {"generator": GENERATOR_CHANGE, "discriminator": DISCRIMINATOR_CHANGE}
_DEAD = {"generator": GENERATOR_DEAD, "discriminator": DISCRIMINATOR_DEAD}
_SATURATED = {"generator": GENERATOR_SATURATED, "discriminator": DISCRIMINATOR_SATURATED}
# Within this share of its range of an end, a sigmoid or tanh passes hardly any gradient.
_END = 0.01
_RANGES: dict[type[nn.Module], tuple[float, float]] = {nn.Sigmoid: (0.0, 1.0), nn.Tanh: (-1.0, 1.0)}
# Products with larger matrices would cost more than the step that they watch.
MOST_WEIGHTS = 300_000
_POWER_STEPS = 12


def norm_of(tensors: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all numbers together, float32 (); 0 without any."""
    if not tensors:
        return torch.zeros(())
    norms: Tensor = torch.stack([norm.float() for norm in torch._foreach_norm(list(tensors))])
    norm: Tensor = torch.linalg.vector_norm(norms)
    return norm


def gradients_of(network: nn.Module) -> list[Tensor]:
    """Return the gradients that the network's last update left."""
    return [weights.grad for weights in network.parameters() if weights.grad is not None]


def can_die(layer: nn.Module) -> bool:
    """Return whether the layer's units may give 0 for every input."""
    return isinstance(layer, nn.ReLU)


def can_saturate(layer: nn.Module) -> bool:
    """Return whether what the layer gives has two ends."""
    return type(layer) in _RANGES


def can_be_stuck(layer: nn.Module) -> bool:
    """Return whether the layer's units may die or saturate."""
    return can_die(layer) or can_saturate(layer)


def dead_share(outputs: Tensor) -> Tensor:
    """Return the share of units, features or channels of outputs (N, U, …), that are 0 at most everywhere."""
    largest = outputs.float().flatten(2).amax(2) if outputs.dim() > 2 else outputs.float()
    return (largest.amax(0) <= 0).float().mean()


def saturated_share(layer: nn.Module, outputs: Tensor) -> Tensor:
    """Return the share of outputs that lie within 1 % of the layer's range of one of its ends."""
    low, high = _RANGES[type(layer)]
    margin = _END * (high - low)
    return ((outputs < low + margin) | (outputs > high - margin)).float().mean()


def unit_shares(player: str, layers: Mapping[int, nn.Module], outputs: Mapping[int, Tensor]) -> dict[str, Tensor]:
    """Return the shares of dead and of saturated units of each layer that may have some, by the metric's name."""
    shares: dict[str, Tensor] = {}
    for index, given in outputs.items():
        if can_die(layers[index]):
            shares[_DEAD[player].member(index).name] = dead_share(given)
        elif can_saturate(layers[index]):
            shares[_SATURATED[player].member(index).name] = saturated_share(layers[index], given)
    return shares


def singular_values(layers: Mapping[int, nn.Module]) -> dict[str, Tensor]:
    """Return the largest singular value of each layer whose weights are few enough, by the metric's name."""
    return {
        SPECTRAL_NORM.member(index).name: largest_singular_value(weights)
        for index, layer in layers.items()
        if isinstance(weights := getattr(layer, "weight", None), Tensor)
        and weights.dim() > 1
        and weights.numel() <= MOST_WEIGHTS
    }


def largest_singular_value(weights: Tensor) -> Tensor:
    """Return the largest singular value of weights as a matrix (first dimension, all others), by power iteration.

    It comes from below, and after 12 steps is some per cent short at most unless two values are nearly equal.
    """
    matrix = weights.detach().float().flatten(1)
    vector = torch.ones(matrix.shape[1], device=matrix.device)
    for _ in range(_POWER_STEPS):
        image = matrix @ vector
        vector = matrix.T @ image
        vector = vector / vector.norm().clamp_min(1e-12)
    largest: Tensor = torch.linalg.vector_norm(matrix @ vector)
    return largest
