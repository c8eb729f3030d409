"""Turn what a spec says into networks."""

import torch
from torch import Tensor, nn

from ganlib.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    LayerSpec,
    Noise,
    Norm,
    Reshape,
    TransposedConv,
)
from ganlib.sections.networks import NetworkSpec, NormalInit
from ganlib.shapes import Shape, trace_shapes


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
        return activations + self.std * torch.randn_like(activations) if self.training else activations


def build_network(spec: NetworkSpec, input_shape: Shape) -> nn.Sequential:
    """Build the layers for items of input_shape and draw their first weights from torch's global generator.

    The module maps (N, *input_shape) to (N, *output shape of the last layer); layer i of the spec is module i.
    """
    before = [input_shape, *trace_shapes(spec.layers, input_shape)]
    pairs = zip(spec.layers, before, strict=False)
    network = nn.Sequential(*(_build_layer(layer, shape) for layer, shape in pairs))
    if isinstance(spec.init, NormalInit):
        _draw_normal_weights(network, spec.init.std)
    return network


def _build_layer(layer: LayerSpec, shape: Shape) -> nn.Module:
    """Build one layer whose input is of this shape."""
    match layer:
        case Dense():
            return FlatLinear(int(torch.Size(shape).numel()), layer.size, bias=layer.bias)
        case Conv():
            return nn.Conv2d(shape[0], layer.size, layer.kernel, layer.stride, layer.padding, bias=layer.bias)
        case TransposedConv():
            return nn.ConvTranspose2d(
                shape[0],
                layer.size,
                layer.kernel,
                layer.stride,
                layer.padding,
                layer.output_padding,
                bias=layer.bias,
            )
        case Reshape():
            return nn.Unflatten(1, layer.shape) if len(shape) == 1 else _flatten_then(layer)
        case Flatten():
            return nn.Flatten()
        case Norm():
            batch_norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
            return batch_norm(shape[0], eps=layer.epsilon, momentum=layer.momentum)
        case Activation():
            return _build_activation(layer)
        case Dropout():
            return nn.Dropout(layer.probability)
        case Noise():
            return GaussianNoise(layer.std)


def _flatten_then(layer: Reshape) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Unflatten(1, layer.shape))


def _build_activation(layer: Activation) -> nn.Module:
    match layer.kind:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(layer.slope)
        case "sigmoid":
            return nn.Sigmoid()
        case "tanh":
            return nn.Tanh()


@torch.no_grad()
def _draw_normal_weights(network: nn.Module, std: float) -> None:
    """Weights from N(0, std²), batch norm's gains from N(1, std²), biases 0 (Radford et al., 2016, section 3)."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            module.weight.normal_(0, std)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.weight.normal_(1, std)
        else:
            continue
        if module.bias is not None:
            module.bias.zero_()
