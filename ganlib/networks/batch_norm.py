"""Batch normalisation by the statistics of the whole batch, also where several processes share it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganlib.networks.simple import at_least_float32
from ganlib.runtime.batch_sharding import is_dealt, mean_of_shares, whole_count


class BatchNorm1d(nn.BatchNorm1d):
    """Torch's layer for (N, C), which looks at all items of a batch that several processes share."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the same shape."""
        return normalise_whole_batch(self, input) if self.training and is_dealt() else super().forward(input)


class BatchNorm2d(nn.BatchNorm2d):
    """Torch's layer for (N, C, H, W), which looks at all items of a batch that several processes share."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the same shape."""
        return normalise_whole_batch(self, input) if self.training and is_dealt() else super().forward(input)


def normalise_whole_batch(norm: nn.BatchNorm1d | nn.BatchNorm2d, activations: Tensor) -> Tensor:
    """Do what the layer does to the whole batch in training, given this process's share (N, C, …) of it.

    Ioffe and Szegedy (2015), algorithm 1: normalised by the biased variance; the running one is the unbiased.
    """
    numbers = at_least_float32(activations)
    others = [axis for axis in range(numbers.dim()) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(numbers.dim())]
    mean = mean_of_shares(numbers.mean(others))
    centred = numbers - mean.reshape(shape)
    variance = mean_of_shares(centred.square().mean(others))
    _keep_running(norm, mean.detach(), variance.detach(), whole_count(numbers.numel() // len(mean)))
    gain = torch.rsqrt(variance + norm.eps)
    if norm.affine:
        gain = gain * norm.weight
    normalised = centred * gain.reshape(shape)
    if norm.affine:
        normalised = normalised + norm.bias.reshape(shape)
    return normalised.to(activations.dtype)


@torch.no_grad()
def _keep_running(norm: nn.BatchNorm1d | nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics towards those of a batch with `count` numbers a feature."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    momentum = 0.1 if norm.momentum is None else norm.momentum
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * (count / (count - 1)), momentum)


BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def find_batch_norms(network: nn.Module) -> list[BatchNorm]:
    """Return the layers of the network that keep running statistics."""
    return [module for module in network.modules() if isinstance(module, BatchNorm)]


@contextmanager
def frozen_statistics(norms: Sequence[BatchNorm]) -> Iterator[None]:
    """Inside, these layers normalise by each batch as ever, but their running statistics stay as they are."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
