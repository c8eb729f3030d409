"""Shape arithmetic over layer lists, without torch: what fits, and how many parameters it takes.

A shape is that of one item, without the batch: (features,) or (channels, height, width). class_count is that of
the data set, 0 where it has no classes; only layers that take labels ask for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ganlib.errors import ShapeMismatch
from ganlib.spec.layers import (
    Conv,
    Dense,
    Flatten,
    GlobalPool,
    Labels,
    LayerSpec,
    MinibatchDiscrimination,
    Norm,
    Pool,
    Projection,
    Reshape,
    TransposedConv,
    takes_labels,
)

Shape = tuple[int, ...]


def show_shape(shape: Shape) -> str:
    """Write (1, 28, 28) as 1×28×28."""
    return "×".join(str(size) for size in shape)


def trace_shapes(layers: Sequence[LayerSpec], input_shape: Shape, class_count: int = 0) -> list[Shape]:
    """Return the shape after each layer; raises ShapeMismatch at the first layer that does not fit."""
    shapes: list[Shape] = []
    shape = input_shape
    for index, layer in enumerate(layers):
        shape = _output_shape(layer, shape, index, class_count)
        shapes.append(shape)
    return shapes


def output_shape(layers: Sequence[LayerSpec], input_shape: Shape, class_count: int = 0) -> Shape:
    """Return the shape of the network's output for one item."""
    return trace_shapes(layers, input_shape, class_count)[-1] if layers else input_shape


def count_parameters(layers: Sequence[LayerSpec], input_shape: Shape, class_count: int = 0) -> int:
    """Return how many trainable numbers the layers hold (shapes must fit)."""
    total = 0
    shape = input_shape
    for layer, after in zip(layers, trace_shapes(layers, input_shape, class_count), strict=True):
        total += _layer_parameters(layer, shape, class_count)
        shape = after
    return total


@dataclass(frozen=True)
class LayerOutline:
    """What a layer makes of its input: the shape after it, and its trainable numbers; or why it does not fit.

    shape: None of a layer that does not fit, and of those after it, which get nothing. work: multiplications for
    one item.
    """

    shape: Shape | None
    parameters: int = 0
    work: int = 0
    problem: str = ""


def outline_layers(layers: Sequence[LayerSpec], input_shape: Shape, class_count: int = 0) -> list[LayerOutline]:
    """Return what each layer makes of its input, as far as they fit."""
    outlines: list[LayerOutline] = []
    shape: Shape | None = input_shape
    for index, layer in enumerate(layers):
        if shape is None:
            outlines.append(LayerOutline(None))
            continue
        try:
            after = _output_shape(layer, shape, index, class_count)
        except ShapeMismatch as error:
            outlines.append(LayerOutline(None, problem=str(error)))
            shape = None
            continue
        parameters = _layer_parameters(layer, shape, class_count)
        # A kernel is applied at each place of the smaller image that it links.
        places = prod((after if isinstance(layer, Conv) else shape)[1:])
        work = parameters * places if isinstance(layer, Conv | TransposedConv) else parameters
        outlines.append(LayerOutline(after, parameters, work))
        shape = after
    return outlines


# Measured on one core of our test machine over the recipes; docs/reference/recipes.md says how far it is off.
_STEP_SECONDS = 0.0048
_MULTIPLICATIONS_A_SECOND = 45e9


def estimate_iteration(generator: int, discriminator: int, batch_size: int, steps: int, advantage: int) -> float:
    """Return about how many seconds an iteration takes on one CPU core.

    generator, discriminator: multiplications of each for one item, forwards. steps: updates of the discriminator;
    advantage: those of the generator. Backwards is twice the work of forwards: an update of the discriminator
    makes fakes, and goes both ways through reals and fakes; one of the generator goes both ways through both.
    """
    work = steps * (generator + 6 * discriminator) + advantage * 3 * (generator + discriminator)
    return _STEP_SECONDS + batch_size * work / _MULTIPLICATIONS_A_SECOND


def _layer_parameters(layer: LayerSpec, shape: Shape, class_count: int) -> int:
    match layer:
        case Dense(size=size, bias=bias):
            return prod(shape) * size + (size if bias else 0) + _length_parameters(layer)
        case Conv(size=size, kernel=kernel, bias=bias) | TransposedConv(size=size, kernel=kernel, bias=bias):
            return shape[0] * size * kernel * kernel + (size if bias else 0) + _length_parameters(layer)
        case MinibatchDiscrimination(size=size, dimensions=dimensions):
            return prod(shape) * size * dimensions
        case Norm(kind=kind):
            return 2 * shape[0] * (class_count if kind == "conditional_batch" else 1)
        case Labels(encoding="embedding", size=size):
            return class_count * size
        case Projection():
            return prod(shape) * (1 + class_count) + 1
        case _:
            return 0


def _length_parameters(layer: Dense | Conv | TransposedConv) -> int:
    return layer.size if layer.weights == "weight_norm" else 0


def _output_shape(layer: LayerSpec, shape: Shape, index: int, class_count: int) -> Shape:
    if takes_labels([layer]):
        return _labelled_shape(layer, shape, index, class_count)
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
        case Reshape():
            return _reshaped(layer, shape, index)
        case Flatten():
            return (prod(shape),)
        case _:
            return shape


def _labelled_shape(layer: LayerSpec, shape: Shape, index: int, class_count: int) -> Shape:
    if not class_count:
        raise ShapeMismatch(
            f"layer {index} ({layer.layer}) takes labels, so the number of classes must be known: "
            "give dataset.classes",
            index,
        )
    match layer:
        case Labels(encoding=encoding, size=size):
            return (shape[0] + (class_count if encoding == "one_hot" else size), *shape[1:])
        case Projection():
            return (1,)
        case _:
            return shape


def _reshaped(layer: Reshape, shape: Shape, index: int) -> Shape:
    if prod(shape) != prod(layer.shape):
        raise ShapeMismatch(
            f"layer {index} (reshape) turns {show_shape(shape)} = {prod(shape)} numbers "
            f"into {show_shape(layer.shape)} = {prod(layer.shape)} numbers; they must be as many",
            index,
        )
    return layer.shape


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
