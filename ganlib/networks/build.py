"""Turn what a spec says into networks."""

from math import prod

import torch
from torch import nn
from torch.nn.utils import parametrizations

from ganlib.networks import layers, normalisation
from ganlib.networks.first_batch import ReferenceNetwork, fix_lengths
from ganlib.spec.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Labels,
    LayerSpec,
    MinibatchDiscrimination,
    Noise,
    Norm,
    Pool,
    Projection,
    Reshape,
    Scale,
    TransposedConv,
    takes_labels,
)
from ganlib.spec.sections.networks import NetworkSpec, NormalInit
from ganlib.spec.shapes import Shape, trace_shapes


def build_network(spec: NetworkSpec, input_shape: Shape, class_count: int = 0) -> nn.Sequential:
    """Build the layers for items of input_shape and draw their first weights from torch's global generator.

    The module maps (N, *input_shape) to (N, *output shape of the last layer); layer i of the spec is module i. If
    a layer takes labels, it is called with labels int64 (N,) below class_count too.
    """
    before = [input_shape, *trace_shapes(spec.layers, input_shape, class_count)]
    modules = [
        _build_layer(layer, shape, spec.reference_size, class_count)
        for layer, shape in zip(spec.layers, before, strict=False)
    ]
    network: nn.Sequential
    if any(isinstance(module, normalisation.VirtualBatchNorm) for module in modules):
        network = ReferenceNetwork(modules, spec.reference_size, input_shape)
    elif takes_labels(spec.layers):
        network = layers.LabelledNetwork(*modules)
    else:
        network = nn.Sequential(*modules)
    if isinstance(spec.init, NormalInit):
        _draw_normal_weights(network, spec.init.std)
    # After the first weights were drawn: the module's weight is computed from then on.
    for layer, module in zip(spec.layers, modules, strict=True):
        if isinstance(layer, Dense | Conv | TransposedConv):
            _write_weights(layer, module)
        elif isinstance(layer, Projection) and layer.weights == "spectral_norm":
            parametrizations.spectral_norm(module.linear)  # type: ignore[arg-type]
            parametrizations.spectral_norm(module.embedding)  # type: ignore[arg-type]
    return network


def _build_layer(layer: LayerSpec, shape: Shape, reference_size: int, class_count: int) -> nn.Module:
    """Build one layer whose input is of this shape."""
    match layer:
        case Dense() | Conv() | TransposedConv():
            return _build_weighted(layer, shape)
        case Pool() | GlobalPool() | Reshape() | Flatten():
            return _build_shaping(layer, shape)
        case Norm():
            return _build_norm(layer, shape, reference_size, class_count)
        case Activation():
            return _build_activation(layer)
        case Scale() | Dropout() | Noise():
            return _build_change(layer)
        case MinibatchDiscrimination():
            return layers.MinibatchDiscrimination(prod(shape), layer.size, layer.dimensions)
        case Labels() | Projection():
            return _build_labelled(layer, shape, class_count)


def _build_weighted(layer: Dense | Conv | TransposedConv, shape: Shape) -> nn.Module:
    if isinstance(layer, Dense):
        return layers.FlatLinear(prod(shape), layer.size, bias=layer.bias)
    if isinstance(layer, Conv):
        return nn.Conv2d(shape[0], layer.size, layer.kernel, layer.stride, layer.padding, bias=layer.bias)
    return nn.ConvTranspose2d(
        shape[0], layer.size, layer.kernel, layer.stride, layer.padding, layer.output_padding, bias=layer.bias
    )


def _build_change(layer: Scale | Dropout | Noise) -> nn.Module:
    if isinstance(layer, Scale):
        return layers.FixedScale(layer.factor, layer.offset)
    return layers.Dropout(layer.probability) if isinstance(layer, Dropout) else layers.GaussianNoise(layer.std)


def _build_shaping(layer: Pool | GlobalPool | Reshape | Flatten, shape: Shape) -> nn.Module:
    if isinstance(layer, Pool):
        pool = nn.AvgPool2d if layer.kind == "average" else nn.MaxPool2d
        return pool(layer.kernel, layer.stride, layer.padding)
    if isinstance(layer, GlobalPool):
        whole = nn.AdaptiveAvgPool2d(1) if layer.kind == "average" else nn.AdaptiveMaxPool2d(1)
        return nn.Sequential(whole, nn.Flatten())
    if isinstance(layer, Reshape):
        return nn.Unflatten(1, layer.shape) if len(shape) == 1 else _flatten_then(layer)
    return nn.Flatten()


def _build_norm(layer: Norm, shape: Shape, reference_size: int, class_count: int) -> nn.Module:
    if layer.kind == "virtual_batch":
        return normalisation.VirtualBatchNorm(shape[0], reference_size, layer.epsilon)
    if layer.kind == "conditional_batch":
        return normalisation.ConditionalBatchNorm(
            shape[0], class_count, layer.epsilon, layer.momentum, of_images=len(shape) == 3
        )
    batch_norm = normalisation.BatchNorm2d if len(shape) == 3 else normalisation.BatchNorm1d
    return batch_norm(shape[0], eps=layer.epsilon, momentum=layer.momentum)


def _build_labelled(layer: Labels | Projection, shape: Shape, class_count: int) -> nn.Module:
    if isinstance(layer, Projection):
        return layers.Projection(prod(shape), class_count)
    return layers.AppendLabels(class_count, layer.size if layer.encoding == "embedding" else None)


def _flatten_then(layer: Reshape) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Unflatten(1, layer.shape))


def _write_weights(layer: Dense | Conv | TransposedConv, module: nn.Module) -> None:
    """Compute the module's weight from other parameters, if the layer asks for that."""
    # One length for each output, which a transposed convolution counts in its second axis.
    outputs_axis = 1 if isinstance(module, nn.ConvTranspose2d) else 0
    if layer.weights == "weight_norm":
        parametrizations.weight_norm(module, dim=outputs_axis)
    elif layer.weights == "weight_norm_fixed":
        fix_lengths(module, outputs_axis)
    elif layer.weights == "spectral_norm":
        parametrizations.spectral_norm(module)


def _build_activation(layer: Activation) -> nn.Module:
    match layer.kind:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(layer.slope)
        case "sigmoid":
            return nn.Sigmoid()
        case "softplus":
            return nn.Softplus()
        case "tanh":
            return nn.Tanh()


@torch.no_grad()
def _draw_normal_weights(network: nn.Module, std: float) -> None:
    """Weights from N(0, std²), batch norm's gains from N(1, std²), biases 0 (Radford et al., 2016, section 3)."""
    for module in network.modules():
        match module:
            case normalisation.ConditionalBatchNorm():
                module.gain.weight.normal_(1, std)
            case layers.AppendLabels() | layers.Projection():
                if module.embedding is not None:
                    module.embedding.weight.normal_(0, std)
            case nn.Linear() | nn.Conv2d() | nn.ConvTranspose2d():
                module.weight.normal_(0, std)
                if module.bias is not None:
                    module.bias.zero_()
            case nn.BatchNorm1d(affine=True) | nn.BatchNorm2d(affine=True) | normalisation.VirtualBatchNorm():
                module.weight.normal_(1, std)
                module.bias.zero_()
