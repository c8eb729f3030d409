"""Networks of discriminators that also classify, as data (no torch).

Those of Salimans et al. (2016) are as in their released code, which says more than the paper: in the
discriminators only the last layer learns the lengths of its weights, all others keep those of the first batch.
"""

from typing import Any

from ganlib.spec.presets.winkler import WINKLER_PRESETS

Layers = list[Any]

_LEAKY = {"layer": "activation", "kind": "leaky_relu", "slope": 0.2}
_TO_IMAGES = {"layer": "scale", "factor": 2.0, "offset": -1.0}
_FROM_IMAGES = {"layer": "scale", "factor": 0.5, "offset": 0.5}
_CLASSES = {"layer": "dense", "size": 10, "weights": "weight_norm"}


def _noise(std: float) -> dict[str, Any]:
    return {"layer": "noise", "std": std}


def _dropout(probability: float) -> dict[str, Any]:
    return {"layer": "dropout", "probability": probability}


def _dense(size: int) -> Layers:
    return [{"layer": "dense", "size": size, "weights": "weight_norm_fixed"}, "relu", _noise(0.5)]


def _conv(size: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> Layers:
    return [
        {
            "layer": "conv", "size": size, "kernel": kernel, "stride": stride, "padding": padding,
            "weights": "weight_norm_fixed",
        },
        _LEAKY,
    ]  # fmt: skip


def _transposed(size: int, **other: Any) -> dict[str, Any]:
    """Twice the size with 5×5 kernels."""
    sizes = {"size": size, "kernel": 5, "stride": 2, "padding": 2, "output_padding": 1}
    return {"layer": "transposed_conv", **sizes, **other}


def _up(size: int) -> Layers:
    return [
        {"layer": "transposed_conv", "size": size, "kernel": 4, "stride": 2, "padding": 1}, "batch_norm", "relu",
    ]  # fmt: skip


SEMI_SUPERVISED_PRESETS: dict[str, Layers] = {
    # Salimans et al. (2016), MNIST: latents → 1×28×28; image → 10 logits. Features are those of layer 15.
    "salimans_mnist_generator": [
        {"layer": "dense", "size": 500}, "batch_norm", "softplus",
        {"layer": "dense", "size": 500}, "batch_norm", "softplus",
        {"layer": "dense", "size": 784, "weights": "weight_norm"}, "sigmoid",
        _TO_IMAGES, {"layer": "reshape", "shape": [1, 28, 28]},
    ],
    "salimans_mnist_discriminator": [
        _FROM_IMAGES, _noise(0.3), *_dense(1000), *_dense(500), *_dense(250), *_dense(250), *_dense(250), _CLASSES,
    ],
    # Salimans et al. (2016), CIFAR-10: latents → 3×32×32; image → 10 logits. Features are those of the pooling.
    "salimans_cifar_generator": [
        {"layer": "dense", "size": 4 * 4 * 512}, "batch_norm", "relu", {"layer": "reshape", "shape": [512, 4, 4]},
        _transposed(256), "batch_norm", "relu",
        _transposed(128), "batch_norm", "relu",
        _transposed(3, weights="weight_norm"), "tanh",
    ],
    "salimans_cifar_discriminator": [
        _dropout(0.2), *_conv(96), *_conv(96), *_conv(96, stride=2),
        _dropout(0.5), *_conv(192), *_conv(192), *_conv(192, stride=2),
        _dropout(0.5), *_conv(192, padding=0), *_conv(192, kernel=1, padding=0), *_conv(192, kernel=1, padding=0),
        "global_pool", _CLASSES,
    ],
    # SGAN (Odena, 2016) as Kaushik describes it: dense, two transposed convolutions with batch norm, one without;
    # three convolutions with batch norm, dense. 11 outputs: ten classes and fake, or real and ten classes.
    "sgan_mnist_generator": [
        {"layer": "dense", "size": 7 * 7 * 64}, "relu", {"layer": "reshape", "shape": [64, 7, 7]},
        *_up(32), *_up(16),
        {"layer": "transposed_conv", "size": 1, "kernel": 3, "padding": 1}, "tanh",
    ],
    "sgan_mnist_discriminator": [
        {"layer": "conv", "size": 32, "kernel": 4, "stride": 2, "padding": 1}, "batch_norm", _LEAKY,
        {"layer": "conv", "size": 64, "kernel": 4, "stride": 2, "padding": 1}, "batch_norm", _LEAKY,
        {"layer": "conv", "size": 128, "kernel": 3, "stride": 2, "padding": 1}, "batch_norm", _LEAKY,
        {"layer": "dense", "size": 11},
    ],
    # Winkler (2018), section 4.8.3: the final CIFAR-10 discriminator with ten classes and fake.
    "winkler_semi_supervised_cifar_discriminator": [
        *WINKLER_PRESETS["winkler_cifar_discriminator"][:-1], {"layer": "dense", "size": 11},
    ],
}  # fmt: skip
