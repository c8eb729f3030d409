"""The networks of Winkler's thesis (2018), section by section, as data (no torch).

Details that the thesis leaves open are decided here and named in the recipes: padding, the ReLU and batch norm
between transposed convolutions, the leaky ReLU's slope.
"""

from typing import Any

Layers = list[Any]

# The thesis trains its first networks on numbers from 0 to 1, as a sigmoid gives them: 2i − 1 and (i + 1)/2.
_TO_IMAGES = {"layer": "scale", "factor": 2.0, "offset": -1.0}
_FROM_IMAGES = {"layer": "scale", "factor": 0.5, "offset": 0.5}
_HALF = {"layer": "dropout", "probability": 0.5}


def _leaky(slope: float = 0.2) -> dict[str, Any]:
    return {"layer": "activation", "kind": "leaky_relu", "slope": slope}


def _dense(size: int) -> dict[str, Any]:
    return {"layer": "dense", "size": size}


def _conv(size: int, kernel: int, stride: int = 1, padding: int = 0) -> dict[str, Any]:
    return {"layer": "conv", "size": size, "kernel": kernel, "stride": stride, "padding": padding}


def _transposed(size: int, kernel: int, stride: int = 1, padding: int = 0) -> dict[str, Any]:
    return {"layer": "transposed_conv", "size": size, "kernel": kernel, "stride": stride, "padding": padding}


def _reshape(channels: int, size: int) -> dict[str, Any]:
    return {"layer": "reshape", "shape": [channels, size, size]}


def _one_layer(activation: Any) -> tuple[Layers, Layers]:
    """Nielsen's classifier with 100 hidden neurons, one output, and the same inverted (sections 4.7.1, 4.7.3)."""
    generator = [_dense(100), activation, _dense(784), activation, _reshape(1, 28), _TO_IMAGES]
    return generator, [_FROM_IMAGES, _dense(100), activation, _dense(1)]


def _inferred_discriminator(filters: tuple[int, int], *, padded: bool, norm: Layers, end: Layers) -> Layers:
    """The classifier's convolutions with 2×2 stride 2 in the place of its pooling (section 4.7.5)."""
    first, second = filters
    around = 2 if padded else 0
    return [
        _conv(first, 5, padding=around), _conv(first, 2, 2), _leaky(), *norm,
        _conv(second, 5, padding=around), *norm, _conv(second, 2, 2), _leaky(), *norm,
        *end,
    ]  # fmt: skip


def _large_kernels(activation: Any, norm: Layers, dropout: Layers) -> Layers:
    """Two transposed 4×4 convolutions behind two dense layers (section 4.7.5)."""
    return [
        _dense(1024), activation, *norm,
        _dense(7 * 7 * 40), activation, *norm, *dropout, _reshape(40, 7),
        _transposed(64, 4, 2, 1), activation, *norm,
        _transposed(1, 4, 2, 1), "tanh",
    ]  # fmt: skip


_MAX_POOL = {"layer": "pool", "kind": "max", "kernel": 2}
_BATCH_NORM: Layers = ["batch_norm"]
_TO_MAPS: Layers = [_dense(7 * 7 * 40), "relu", "batch_norm", _HALF, _reshape(40, 7)]
_SMALL_KERNELS: Layers = [
    _transposed(40, 5, 1, 2), "relu", "batch_norm", _transposed(40, 2, 2), "relu", "batch_norm",
    _transposed(20, 5, 1, 2), "relu", "batch_norm", _transposed(1, 2, 2), "tanh",
]  # fmt: skip
_WIDE_END: Layers = [_dense(4 * 4 * 64), _leaky()]

_ONE_LAYER = _one_layer("sigmoid")
_ONE_LAYER_RELU = _one_layer("relu")
_ONE_LAYER_LEAKY = _one_layer(_leaky(0.01))


def _cifar_generator(channels: int, maps: int, *, extra: bool) -> Layers:
    """Dense 1024 and 8·8·maps, then 16 and 32 pixels; `extra` is one more 5×5 layer of 128 (section 4.8)."""
    more: Layers = [_transposed(128, 5, 1, 2), "relu", "batch_norm"] if extra else []
    return [
        _dense(1024), "relu", "batch_norm",
        _dense(8 * 8 * maps), "relu", "batch_norm", _reshape(maps, 8), *more,
        _transposed(64, 4, 2, 1), "relu", "batch_norm",
        _transposed(channels, 4, 2, 1), "tanh",
    ]  # fmt: skip


def _cifar_discriminator(*, extra: bool) -> Layers:
    """The final MNIST discriminator on 32 pixels: 32-28-14-10-5 (section 4.8)."""
    more: Layers = [_conv(128, 5, padding=2), _leaky()] if extra else []
    return [
        _conv(32, 5), _leaky(), _conv(32, 2, 2), _leaky(), _conv(64, 5), _leaky(), _conv(64, 2, 2), _leaky(),
        *more, *_WIDE_END, _dense(1),
    ]  # fmt: skip


WINKLER_PRESETS: dict[str, Layers] = {
    # Section 4.7.5, the final networks: latents → 1×28×28 in [−1, 1]; without padding 28-24-12-8-4 → one logit.
    "winkler_mnist_generator": [
        {"layer": "dense", "size": 1024},
        "relu",
        "batch_norm",
        {"layer": "dense", "size": 7 * 7 * 128},
        "relu",
        "batch_norm",
        {"layer": "reshape", "shape": [128, 7, 7]},
        {"layer": "transposed_conv", "size": 64, "kernel": 4, "stride": 2, "padding": 1},
        "relu",
        "batch_norm",
        {"layer": "transposed_conv", "size": 1, "kernel": 4, "stride": 2, "padding": 1},
        "tanh",
    ],
    "winkler_mnist_discriminator": [
        {"layer": "conv", "size": 32, "kernel": 5},
        _leaky(),
        {"layer": "conv", "size": 32, "kernel": 2, "stride": 2},
        _leaky(),
        {"layer": "conv", "size": 64, "kernel": 5},
        _leaky(),
        {"layer": "conv", "size": 64, "kernel": 2, "stride": 2},
        _leaky(),
        {"layer": "dense", "size": 4 * 4 * 64},
        _leaky(),
        {"layer": "dense", "size": 1},
    ],
    # 4.7.1 and 4.7.3, one hidden layer
    "winkler_one_layer_generator": _ONE_LAYER[0],
    "winkler_one_layer_discriminator": _ONE_LAYER[1],
    "winkler_one_layer_relu_generator": _ONE_LAYER_RELU[0],
    "winkler_one_layer_relu_discriminator": _ONE_LAYER_RELU[1],
    "winkler_one_layer_leaky_generator": _ONE_LAYER_LEAKY[0],
    "winkler_one_layer_leaky_discriminator": _ONE_LAYER_LEAKY[1],
    # 4.7.3, two hidden layers
    "winkler_two_layers_generator": [
        _dense(1024), "relu", _dense(1024), "relu", _dense(784), "tanh", _reshape(1, 28),
    ],
    "winkler_two_layers_discriminator": [_dense(256), _leaky(0.01), _dense(256), _leaky(0.01), _dense(1)],
    # 4.7.5, the classifier of MNIST itself (Nielsen's chapter 6) with one output: 28-24-12-8-4
    "winkler_classifier_discriminator": [
        _conv(20, 5), "relu", _MAX_POOL, _conv(40, 5), "relu", _MAX_POOL,
        _dense(100), "relu", _HALF, _dense(1),
    ],
    # 4.7.5, on the way to the final networks
    "winkler_inferred_generator": [*_TO_MAPS, *_SMALL_KERNELS],
    "winkler_inferred_discriminator": _inferred_discriminator(
        (20, 40), padded=True, norm=_BATCH_NORM, end=[_HALF, _dense(1)]
    ),
    "winkler_dense_first_generator": [_dense(1024), "relu", "batch_norm", *_TO_MAPS, *_SMALL_KERNELS],
    "winkler_large_kernels_generator": _large_kernels("relu", _BATCH_NORM, [_HALF]),
    "winkler_more_filters_discriminator": _inferred_discriminator(
        (32, 64), padded=False, norm=_BATCH_NORM, end=[*_WIDE_END, _HALF, _dense(1)]
    ),
    # 4.7.5, what can be left out
    "winkler_no_dropout_generator": _large_kernels("relu", _BATCH_NORM, []),
    "winkler_no_dropout_discriminator": _inferred_discriminator(
        (32, 64), padded=False, norm=_BATCH_NORM, end=[*_WIDE_END, _dense(1)]
    ),
    "winkler_no_norm_generator": _large_kernels("relu", [], []),
    "winkler_no_norm_leaky_generator": _large_kernels(_leaky(), [], []),
    "winkler_no_norm_discriminator": _inferred_discriminator(
        (32, 64), padded=False, norm=[], end=[*_WIDE_END, _dense(1)]
    ),
    # 4.8.1 grey CIFAR-10, which prints 8·8·40; 4.8.2 the same in colour
    "winkler_grey_cifar_generator": _cifar_generator(1, 40, extra=False),
    "winkler_colour_cifar_generator": _cifar_generator(3, 40, extra=False),
    "winkler_first_cifar_discriminator": _cifar_discriminator(extra=False),
    "winkler_extra_layer_cifar_discriminator": _cifar_discriminator(extra=True),
    # 4.8.2, the final networks
    "winkler_cifar_generator": _cifar_generator(3, 128, extra=True),
    "winkler_cifar_discriminator": [
        _conv(32, 5, 2, 2), _leaky(),
        _conv(64, 5, 2, 2), _leaky(), "batch_norm",
        _conv(128, 5, 1, 2), _leaky(), "batch_norm",
        # Batch norm right before the last layer would fix the mean logit of every batch, real or fake.
        _dense(4 * 4 * 64), "batch_norm", _leaky(), _dense(1),
    ],
}  # fmt: skip
