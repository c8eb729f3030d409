"""The layers that a spec may list, as data (no torch).

Sizes count features or channels, never bytes; kernels, strides and paddings are in pixels, the same in
both directions. A layer without arguments may be written as its bare name: `relu`, `batch_norm`, `flatten`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ganlib.numbers import Count, Fraction, Natural, Positive

MAX_SIZE = 65_536
MAX_KERNEL = 64

Size = Annotated[Count, Field(le=MAX_SIZE)]
Kernel = Annotated[Count, Field(le=MAX_KERNEL)]
Padding = Annotated[Natural, Field(le=MAX_KERNEL)]


class _Layer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Dense(_Layer):
    """Fully connected: any input is flattened to (N, features) first; output (N, size)."""

    layer: Literal["dense"] = "dense"
    size: Size
    bias: bool = True


class Conv(_Layer):
    """Convolution (N, C, H, W) → (N, size, ⌊(H + 2·padding − kernel)/stride⌋ + 1, …)."""

    layer: Literal["conv"] = "conv"
    size: Size
    kernel: Kernel
    stride: Kernel = 1
    padding: Padding = 0
    bias: bool = True


class TransposedConv(_Layer):
    """Transposed convolution (N, C, H, W) → (N, size, (H − 1)·stride − 2·padding + kernel + output_padding, …)."""

    layer: Literal["transposed_conv"] = "transposed_conv"
    size: Size
    kernel: Kernel
    stride: Kernel = 1
    padding: Padding = 0
    output_padding: Padding = 0
    bias: bool = True


class Reshape(_Layer):
    """Give each item another shape (channels, height, width) with as many numbers."""

    layer: Literal["reshape"] = "reshape"
    shape: tuple[Size, Size, Size]


class Flatten(_Layer):
    """(N, …) → (N, features)."""

    layer: Literal["flatten"] = "flatten"


class Norm(_Layer):
    """Batch normalisation over each feature or channel (Ioffe and Szegedy, 2015)."""

    layer: Literal["norm"] = "norm"
    kind: Literal["batch"] = "batch"
    momentum: Annotated[Fraction, Field(gt=0)] = 0.1
    epsilon: Positive = 1e-5


class Activation(_Layer):
    """A function applied to each number; `slope` is that of leaky ReLU for negative numbers."""

    layer: Literal["activation"] = "activation"
    kind: Literal["relu", "leaky_relu", "sigmoid", "tanh"]
    slope: Fraction = 0.2


class Dropout(_Layer):
    """Set each number to 0 with this probability while training, and scale the others up."""

    layer: Literal["dropout"] = "dropout"
    probability: Annotated[Fraction, Field(lt=1)] = 0.5


class Noise(_Layer):
    """Add Gaussian noise of this standard deviation while training."""

    layer: Literal["noise"] = "noise"
    std: Positive


BARE_NAMES: dict[str, dict[str, Any]] = {
    "relu": {"layer": "activation", "kind": "relu"},
    "leaky_relu": {"layer": "activation", "kind": "leaky_relu"},
    "sigmoid": {"layer": "activation", "kind": "sigmoid"},
    "tanh": {"layer": "activation", "kind": "tanh"},
    "batch_norm": {"layer": "norm", "kind": "batch"},
    "dropout": {"layer": "dropout"},
    "flatten": {"layer": "flatten"},
}


def expand_bare_name(value: Any) -> Any:
    """Turn `relu` into the layer that it stands for; anything else passes unchanged."""
    if not isinstance(value, str):
        return value
    if value not in BARE_NAMES:
        raise ValueError(f"no layer is named {value!r} alone; allowed: {', '.join(BARE_NAMES)}")
    return BARE_NAMES[value]


LayerSpec = Annotated[
    Annotated[
        Dense | Conv | TransposedConv | Reshape | Flatten | Norm | Activation | Dropout | Noise,
        Field(discriminator="layer"),
    ],
    BeforeValidator(expand_bare_name),
]
