"""Shape arithmetic over layer lists, without torch: what fits, and how many parameters it takes.

A shape is that of one item, without the batch: (features,) or (channels, height, width).
"""

from collections.abc import Sequence
from math import prod

from ganlib.errors import ShapeMismatch
from ganlib.layers import (
    Conv,
    Dense,
    Flatten,
    GlobalPool,
    LayerSpec,
    MinibatchDiscrimination,
    Norm,
    Pool,
    Reshape,
    TransposedConv,
)

Shape = tuple[int, ...]


def show_shape(shape: Shape) -> str:
    """Write (1, 28, 28) as 1×28×28."""
    return "×".join(str(size) for size in shape)


def trace_shapes(layers: Sequence[LayerSpec], input_shape: Shape) -> list[Shape]:
    """Return the shape after each layer; raises ShapeMismatch at the first layer that does not fit."""
    shapes: list[Shape] = []
    shape = input_shape
    for index, layer in enumerate(layers):
        shape = _output_shape(layer, shape, index)
        shapes.append(shape)
    return shapes


def output_shape(layers: Sequence[LayerSpec], input_shape: Shape) -> Shape:
    """Return the shape of the network's output for one item."""
    return trace_shapes(layers, input_shape)[-1] if layers else input_shape


def count_parameters(layers: Sequence[LayerSpec], input_shape: Shape) -> int:
    """Return how many trainable numbers the layers hold (shapes must fit)."""
    total = 0
    shape = input_shape
    for layer, after in zip(layers, trace_shapes(layers, input_shape), strict=True):
        total += _layer_parameters(layer, shape)
        shape = after
    return total


def _layer_parameters(layer: LayerSpec, shape: Shape) -> int:
    match layer:
        case Dense(size=size, bias=bias):
            return prod(shape) * size + (size if bias else 0) + _length_parameters(layer)
        case Conv(size=size, kernel=kernel, bias=bias) | TransposedConv(size=size, kernel=kernel, bias=bias):
            return shape[0] * size * kernel * kernel + (size if bias else 0) + _length_parameters(layer)
        case MinibatchDiscrimination(size=size, dimensions=dimensions):
            return prod(shape) * size * dimensions
        case Norm():
            return 2 * shape[0]
        case _:
            return 0


def _length_parameters(layer: Dense | Conv | TransposedConv) -> int:
    return layer.size if layer.weights == "weight_norm" else 0


def _output_shape(layer: LayerSpec, shape: Shape, index: int) -> Shape:
    match layer:
        case Dense(size=size):
            return (size,)
        case Conv():
            return _conv_shape(layer, shape, index)
        case TransposedConv():
            return _transposed_conv_shape(layer, shape, index)
        case Pool():
            return _pool_shape(layer, shape, index)
        case GlobalPool():
            _need_image(layer.layer, shape, index)
            return shape[:1]
        case MinibatchDiscrimination(size=size):
            return (prod(shape) + size,)
        case Reshape(shape=wanted):
            if prod(shape) != prod(wanted):
                raise ShapeMismatch(
                    f"layer {index} (reshape) turns {show_shape(shape)} = {prod(shape)} numbers "
                    f"into {show_shape(wanted)} = {prod(wanted)} numbers; they must be as many",
                    index,
                )
            return tuple(wanted)
        case Flatten():
            return (prod(shape),)
        case _:
            return shape


def _conv_shape(layer: Conv, shape: Shape, index: int) -> Shape:
    return (layer.size, *_window_counts(layer, layer.stride, shape, index))


def _pool_shape(layer: Pool, shape: Shape, index: int) -> Shape:
    if 2 * layer.padding > layer.kernel:
        raise ShapeMismatch(
            f"layer {index} (pool) has padding {layer.padding}, "
            f"which must be at most half its kernel {layer.kernel}",
            index,
        )
    return (shape[0], *_window_counts(layer, layer.stride or layer.kernel, shape, index))


def _window_counts(layer: Conv | Pool, stride: int, shape: Shape, index: int) -> tuple[int, int]:
    """Return how many windows fit below and beside each other."""
    _need_image(layer.layer, shape, index)
    height, width = (
        (size + 2 * layer.padding - layer.kernel) // stride + 1 if size + 2 * layer.padding >= layer.kernel else 0
        for size in shape[1:]
    )
    if min(height, width) < 1:
        raise ShapeMismatch(
            f"layer {index} ({layer.layer}) has a kernel of {layer.kernel}×{layer.kernel} that does not fit its "
            f"input {show_shape(shape)} with padding {layer.padding}; use a smaller kernel or more padding",
            index,
        )
    return height, width


def _transposed_conv_shape(layer: TransposedConv, shape: Shape, index: int) -> Shape:
    _need_image(layer.layer, shape, index)
    if layer.output_padding >= layer.stride:
        raise ShapeMismatch(
            f"layer {index} (transposed_conv) has output_padding {layer.output_padding}, "
            f"which must be smaller than its stride {layer.stride}",
            index,
        )
    height, width = (
        (size - 1) * layer.stride - 2 * layer.padding + layer.kernel + layer.output_padding for size in shape[1:]
    )
    if min(height, width) < 1:
        raise ShapeMismatch(
            f"layer {index} (transposed_conv) shrinks {show_shape(shape)} to {layer.size}×{height}×{width}; "
            f"use less padding",
            index,
        )
    return (layer.size, height, width)


def _need_image(name: str, shape: Shape, index: int) -> None:
    if len(shape) != 3:
        raise ShapeMismatch(
            f"layer {index} ({name}) needs an input of channels×height×width, but gets {show_shape(shape)}; "
            f"put a reshape before it",
            index,
        )
