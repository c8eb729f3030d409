"""Layers that PyTorch does not have, and the network that hands labels to those that take some."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import one_hot

from ganlib.runtime.batch_sharding import gather_items, global_like, is_sharded, local_items


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
        return activations + self.std * local_items(torch.randn_like(global_like(activations)))


class Dropout(nn.Dropout):
    """Torch's dropout, whose numbers in a batch that several processes share are those of one process."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return the same shape."""
        if not (self.training and is_sharded()):
            return super().forward(input)
        return input * local_items(functional.dropout(torch.ones_like(global_like(input)), self.p))


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


class MinibatchDiscrimination(FlatLinear):
    """Append o(x) to the features f(x): (N, …) → (N, A + size), where A is the number of features.

    M = f(x)·T with T of shape A × size × dimensions, c_b(i, j) = exp(−‖M_ib − M_jb‖₁), o(x_i)_b = Σ_j c_b(i, j).
    The sum is over all N items, i itself among them, as the paper writes it: o is 1 where all others are far
    away and N where all are equal. T is `weight`, as (size · dimensions, A).
    """

    def __init__(self, feature_count: int, size: int, dimensions: int) -> None:
        super().__init__(feature_count, size * dimensions, bias=False)
        self._matrix_shape = (size, dimensions)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return (N, A + size)."""
        # Sums of exponentials of distances: bfloat16 would see distances of close items as 0.
        matrices = at_least_float32(super().forward(input)).reshape(-1, *self._matrix_shape)
        distances = (gather_items(matrices).unsqueeze(0) - matrices.unsqueeze(1)).abs().sum(3)
        closeness = torch.exp(-distances).sum(1)
        return torch.cat([input.flatten(1), closeness.to(input.dtype)], dim=1)


class TakesLabels(nn.Module):
    """Base of the layers that are called with activations (N, …) and labels int64 (N,)."""


class AppendLabels(TakesLabels):
    """Append the class of each item as further features, or as further planes of one number each.

    (N, A) → (N, A + n), or (N, C, H, W) → (N, C + n, H, W), where n is class_count for one-hot labels (Mirza and
    Osindero, 2014) and otherwise the embedding's size.
    """

    def __init__(self, class_count: int, embedding_size: int | None) -> None:
        super().__init__()
        self.class_count = class_count
        self.embedding = None if embedding_size is None else nn.Embedding(class_count, embedding_size)

    def forward(self, activations: Tensor, labels: Tensor) -> Tensor:
        """Return the activations with the classes behind them."""
        coded = one_hot(labels, self.class_count) if self.embedding is None else self.embedding(labels)
        coded = coded.to(activations.dtype)
        if activations.dim() == 4:
            coded = coded[:, :, None, None].expand(-1, -1, *activations.shape[2:])
        return torch.cat([activations, coded], dim=1)


class Projection(TakesLabels):
    """One logit (N, 1) of features h and classes y: w·h + b + v[y]·h (Miyato and Koyama, 2018, section 3)."""

    def __init__(self, features: int, class_count: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.embedding = nn.Embedding(class_count, features)
        # As the linear layer's weights are drawn; an embedding's own N(0, 1) would drown them.
        nn.init.uniform_(self.embedding.weight, -(features**-0.5), features**-0.5)

    def forward(self, activations: Tensor, labels: Tensor) -> Tensor:
        """Return (N, 1)."""
        features = activations.flatten(1)
        toward_class = (self.embedding(labels).to(features.dtype) * features).sum(1, keepdim=True)
        logits: Tensor = self.linear(features) + toward_class
        return logits


class LabelledNetwork(nn.Sequential):
    """Layers some of which look at the classes: inputs (N, …) and labels int64 (N,) → outputs (N, …)."""

    def forward(self, input: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]  # noqa: A002
        """Return the last layer's outputs."""
        return run_layers(self, input, labels)


def run_layers(layers: nn.Sequential, activations: Tensor, labels: Tensor | None) -> Tensor:
    """Call layer after layer, and those that take labels with the labels."""
    for layer in layers:
        activations = run_layer(layer, activations, labels)
    return activations


def run_layer(layer: nn.Module, activations: Tensor, labels: Tensor | None) -> Tensor:
    """Call one layer, with the labels if it takes some."""
    outputs: Tensor = layer(activations, labels) if isinstance(layer, TakesLabels) else layer(activations)
    return outputs


def find_layers(network: nn.Module, count: int) -> nn.Sequential:
    """Return the list that the spec's `count` layers of a network became, whatever it is wrapped in."""
    return next(
        module for module in network.modules() if isinstance(module, nn.Sequential) and len(module) == count
    )


def takes_labels(network: nn.Module) -> bool:
    """Return whether the network is called with labels beside its inputs."""
    return any(isinstance(module, TakesLabels) for module in network.modules())
