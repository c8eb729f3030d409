"""Normalisation: by the whole batch, also where several processes share it, by class, and by a reference batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from ganlib.networks.layers import MinibatchDiscrimination, TakesLabels, at_least_float32, run_layer
from ganlib.runtime.batch_sharding import global_count, is_sharded, mean_over_processes


class BatchNorm1d(nn.BatchNorm1d):
    """Torch's layer for (N, C), which looks at all items of a batch that several processes share."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the same shape."""
        return normalise_whole_batch(self, input) if self.training and is_sharded() else super().forward(input)


class BatchNorm2d(nn.BatchNorm2d):
    """Torch's layer for (N, C, H, W), which looks at all items of a batch that several processes share."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the same shape."""
        return normalise_whole_batch(self, input) if self.training and is_sharded() else super().forward(input)


def normalise_whole_batch(norm: nn.BatchNorm1d | nn.BatchNorm2d, activations: Tensor) -> Tensor:
    """Do what the layer does to the whole batch in training, given this process's share (N, C, …) of it.

    Ioffe and Szegedy (2015), algorithm 1: normalised by the biased variance; the running one is the unbiased.
    """
    numbers = at_least_float32(activations)
    others = [axis for axis in range(numbers.dim()) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(numbers.dim())]
    mean = mean_over_processes(numbers.mean(others))
    centred = numbers - mean.reshape(shape)
    variance = mean_over_processes(centred.square().mean(others))
    _keep_running(norm, mean.detach(), variance.detach(), global_count(numbers.numel() // len(mean)))
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


class ConditionalBatchNorm(TakesLabels):
    """Batch norm with a gain and an offset for each class (Dumoulin et al., 2017; de Vries et al., 2017)."""

    def __init__(self, features: int, class_count: int, epsilon: float, momentum: float, of_images: bool) -> None:
        super().__init__()
        kind = BatchNorm2d if of_images else BatchNorm1d
        self.norm = kind(features, eps=epsilon, momentum=momentum, affine=False)
        self.gain = nn.Embedding(class_count, features, _weight=torch.ones(class_count, features))
        self.offset = nn.Embedding(class_count, features, _weight=torch.zeros(class_count, features))

    def forward(self, activations: Tensor, labels: Tensor) -> Tensor:
        """Return the same shape."""
        return self.scale(self.norm(activations), labels)

    def scale(self, normalised: Tensor, labels: Tensor) -> Tensor:
        """Give normalised activations the gain and the offset of each item's class."""
        shape = (len(labels), -1, *(1 for _ in normalised.shape[2:]))
        gain, offset = self.gain(labels).reshape(shape), self.offset(labels).reshape(shape)
        return torch.addcmul(offset.to(normalised.dtype), normalised, gain.to(normalised.dtype))


# Layers whose output for one item depends on the others of its batch.
MIXING_LAYERS = (nn.BatchNorm1d, nn.BatchNorm2d, ConditionalBatchNorm, MinibatchDiscrimination)


def run_apart(layer: nn.Module, activations: Tensor, labels: Tensor | None) -> Tensor:
    """Call one of these layers with a batch that its running statistics are not to notice."""
    if not layer.training or isinstance(layer, MinibatchDiscrimination):
        return run_layer(layer, activations, labels)
    if isinstance(layer, ConditionalBatchNorm) and labels is not None:
        return layer.scale(_normalise_apart(layer.norm, activations), labels)
    if isinstance(layer, BatchNorm):
        return _normalise_apart(layer, activations)
    raise TypeError(f"{type(layer).__name__} cannot be run apart.")


def _normalise_apart(norm: BatchNorm, activations: Tensor) -> Tensor:
    return batch_norm(activations, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)


class VirtualBatchNorm(nn.Module):
    """Normalise each item by the statistics of a reference batch and of the item itself.

    Takes (reference_size + N, C) or (reference_size + N, C, H, W): the reference batch's own activations come
    first and are normalised by their own statistics alone. For an item, mean and variance are those of
    reference_size + 1 items: the reference and itself.
    """

    def __init__(self, features: int, reference_size: int, epsilon: float) -> None:
        super().__init__()
        self.reference_size = reference_size
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, activations: Tensor) -> Tensor:
        """Return the same shape."""
        pixels = tuple(range(2, activations.dim()))
        numbers = at_least_float32(activations)
        means = numbers.mean(pixels, keepdim=True) if pixels else numbers
        variances = numbers.var(pixels, correction=0, keepdim=True) if pixels else torch.zeros_like(numbers)
        means, variances = self._with_reference(means, variances)
        shape = (1, -1, *(1 for _ in pixels))
        gain = torch.rsqrt(variances + self.epsilon) * self.weight.reshape(shape)
        return ((numbers - means) * gain + self.bias.reshape(shape)).to(activations.dtype)

    def _with_reference(self, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
        """Turn each item's own mean and variance into those that it is normalised by."""
        count = self.reference_size
        reference_mean = means[:count].mean(0, keepdim=True)
        # The variance of a whole is the mean of its parts' variances plus the variance of their means.
        spread = (means[:count] - reference_mean).square().mean(0, keepdim=True)
        reference_variance = variances[:count].mean(0, keepdim=True) + spread
        share = 1 / (count + 1)
        difference = means[count:] - reference_mean
        item_means = reference_mean + share * difference
        item_variances = torch.lerp(reference_variance.expand_as(difference), variances[count:], share)
        item_variances = item_variances + share * (1 - share) * difference.square()
        ones = torch.ones_like(means[:count])
        return torch.cat([reference_mean * ones, item_means]), torch.cat(
            [reference_variance * ones, item_variances]
        )
