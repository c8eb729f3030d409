"""Batch normalisation that does not mix the items of a batch (Salimans et al., 2016, section 3.5)."""

import torch
from torch import Tensor, nn

from ganlib.networks.conditional import run_layers, takes_labels
from ganlib.networks.simple import at_least_float32
from ganlib.spec.shapes import Shape


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


class ReferenceNetwork(nn.Sequential):
    """Layers that see a fixed reference batch before each batch: (N, *input_shape) → (N, *output_shape).

    The reference is a buffer, so a checkpoint holds it, and so are its labels where the network takes labels. Its
    activations are computed anew in each pass, because they change with the weights; gradients flow through them
    too.
    """

    reference: Tensor
    reference_labels: Tensor

    def __init__(self, layers: list[nn.Module], reference_size: int, input_shape: Shape) -> None:
        super().__init__(*layers)
        self.register_buffer("reference", torch.zeros(reference_size, *input_shape))
        if takes_labels(self):
            self.register_buffer("reference_labels", torch.zeros(reference_size, dtype=torch.int64))

    def forward(self, input: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: A002
        """Return what the layers make of the input, without the reference's share."""
        together = torch.cat([self.reference.to(input.dtype), input])
        both_labels = None if labels is None else torch.cat([self.reference_labels, labels])
        return run_layers(self, together, both_labels)[len(self.reference) :]
