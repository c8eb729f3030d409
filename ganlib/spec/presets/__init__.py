"""Named layer lists, as data (no torch). A preset says whose architecture it is and where it stands."""

from typing import Any

from ganlib.spec.presets.dcgan import DCGAN_PRESETS
from ganlib.spec.presets.semi_supervised import SEMI_SUPERVISED_PRESETS
from ganlib.spec.presets.winkler import WINKLER_PRESETS

_LEAKY: dict[str, Any] = {"layer": "activation", "kind": "leaky_relu", "slope": 0.2}

# Winkler (2018), section 4.7.5: the final MNIST generator. Latents → 1×28×28 in [−1, 1].
WINKLER_MNIST_GENERATOR: list[Any] = [
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
]

# Winkler (2018), section 4.7.5: the final MNIST discriminator, without padding: 28-24-12-8-4. → one logit.
WINKLER_MNIST_DISCRIMINATOR: list[Any] = [
    {"layer": "conv", "size": 32, "kernel": 5},
    _LEAKY,
    {"layer": "conv", "size": 32, "kernel": 2, "stride": 2},
    _LEAKY,
    {"layer": "conv", "size": 64, "kernel": 5},
    _LEAKY,
    {"layer": "conv", "size": 64, "kernel": 2, "stride": 2},
    _LEAKY,
    {"layer": "dense", "size": 4 * 4 * 64},
    _LEAKY,
    {"layer": "dense", "size": 1},
]

PRESETS: dict[str, list[Any]] = {
    "winkler_mnist_generator": WINKLER_MNIST_GENERATOR,
    "winkler_mnist_discriminator": WINKLER_MNIST_DISCRIMINATOR,
    **WINKLER_PRESETS,
    **DCGAN_PRESETS,
    **SEMI_SUPERVISED_PRESETS,
}
