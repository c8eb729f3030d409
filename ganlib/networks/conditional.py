"""Layers that look at the class of each item, and the network that hands it to them."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganlib.networks.batch_norm import BatchNorm1d, BatchNorm2d


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
        normalised: Tensor = self.norm(activations)
        shape = (len(labels), -1, *(1 for _ in activations.shape[2:]))
        gain, offset = self.gain(labels).reshape(shape), self.offset(labels).reshape(shape)
        return torch.addcmul(offset.to(normalised.dtype), normalised, gain.to(normalised.dtype))


class LabelledNetwork(nn.Sequential):
    """Layers some of which look at the classes: inputs (N, …) and labels int64 (N,) → outputs (N, …)."""

    def forward(self, input: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]  # noqa: A002
        """Return the last layer's outputs."""
        return run_layers(self, input, labels)


def run_layers(layers: nn.Sequential, activations: Tensor, labels: Tensor | None) -> Tensor:
    """Call layer after layer, and those that take labels with the labels."""
    for layer in layers:
        activations = layer(activations, labels) if isinstance(layer, TakesLabels) else layer(activations)
    return activations


def takes_labels(network: nn.Module) -> bool:
    """Whether the network is to be called with labels beside its inputs."""
    return any(isinstance(module, TakesLabels) for module in network.modules())
