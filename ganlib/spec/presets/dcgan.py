"""The networks of DCGAN (Radford et al., 2016, section 3 and figure 1), as data (no torch).

5×5 kernels with stride 2, batch norm in all but the generator's output and the discriminator's input, ReLU in the
generator and leaky ReLU of slope 0.2 in the discriminator, no dense layer but the first and the last. Widths as in
figure 1: 1024 channels at 4×4. For 32 pixels the stage nearest to the pixels is left out.
"""

from typing import Any

Layers = list[Any]

_LEAKY = {"layer": "activation", "kind": "leaky_relu", "slope": 0.2}


def _generator(widths: tuple[int, ...], channels: int) -> Layers:
    """Latents → (widths[0], 4, 4), then twice the size for each further width and for the channels."""
    layers: Layers = [
        {"layer": "dense", "size": 4 * 4 * widths[0]},
        {"layer": "reshape", "shape": [widths[0], 4, 4]},
        "batch_norm",
        "relu",
    ]
    for width in widths[1:]:
        layers += [_up(width), "batch_norm", "relu"]
    return [*layers, _up(channels), "tanh"]


def _discriminator(widths: tuple[int, ...]) -> Layers:
    """Image → half the size for each width, down to 4×4 → one logit."""
    layers: Layers = [_down(widths[0]), _LEAKY]
    for width in widths[1:]:
        layers += [_down(width), "batch_norm", _LEAKY]
    return [*layers, {"layer": "dense", "size": 1}]


def _up(size: int) -> dict[str, Any]:
    return {
        "layer": "transposed_conv", "size": size, "kernel": 5, "stride": 2, "padding": 2, "output_padding": 1,
    }  # fmt: skip


def _down(size: int) -> dict[str, Any]:
    return {"layer": "conv", "size": size, "kernel": 5, "stride": 2, "padding": 2}


DCGAN_PRESETS: dict[str, Layers] = {
    "dcgan_32_generator": _generator((1024, 512, 256), 3),
    "dcgan_32_discriminator": _discriminator((256, 512, 1024)),
    "dcgan_64_generator": _generator((1024, 512, 256, 128), 3),
    "dcgan_64_discriminator": _discriminator((128, 256, 512, 1024)),
}
