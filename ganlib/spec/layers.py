"""The layers that a spec may list, as data (no torch).

Sizes count features or channels, never bytes; kernels, strides and paddings are in pixels, the same in
both directions. A layer without arguments may be written as its bare name: `relu`, `batch_norm`, `flatten`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from ganlib.spec.documents.suggestions import find_near
from ganlib.spec.fields import Count, Float, Fraction, Natural, Positive

MAX_SIZE = 65_536
MAX_KERNEL = 64

Size = Annotated[Count, Field(le=MAX_SIZE)]
Kernel = Annotated[Count, Field(le=MAX_KERNEL)]
Padding = Annotated[Natural, Field(le=MAX_KERNEL)]


class _Layer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# The parametrisation of a layer's weights: as they are; as direction and length, whose first values come from the
# data (Salimans and Kingma, 2016); the same with lengths that stay as the data set them (Salimans et al., 2016,
# their released code); or divided by their largest singular value (Miyato et al., 2018).
Weights = Literal["plain", "weight_norm", "weight_norm_fixed", "spectral_norm"]


class Dense(_Layer):
    """Fully connected: any input is flattened to (N, features) first; output (N, size)."""

    layer: Literal["dense"] = "dense"
    size: Size
    bias: bool = True
    weights: Weights = "plain"


class Conv(_Layer):
    """Convolution (N, C, H, W) → (N, size, ⌊(H + 2·padding − kernel)/stride⌋ + 1, …)."""

    layer: Literal["conv"] = "conv"
    size: Size
    kernel: Kernel
    stride: Kernel = 1
    padding: Padding = 0
    bias: bool = True
    weights: Weights = "plain"


class TransposedConv(_Layer):
    """Transposed convolution (N, C, H, W) → (N, size, (H − 1)·stride − 2·padding + kernel + output_padding, …)."""

    layer: Literal["transposed_conv"] = "transposed_conv"
    size: Size
    kernel: Kernel
    stride: Kernel = 1
    padding: Padding = 0
    output_padding: Padding = 0
    bias: bool = True
    weights: Weights = "plain"


class Reshape(_Layer):
    """Give each item another shape (channels, height, width) with as many numbers."""

    layer: Literal["reshape"] = "reshape"
    shape: tuple[Size, Size, Size]


class Flatten(_Layer):
    """(N, …) → (N, features)."""

    layer: Literal["flatten"] = "flatten"


class Pool(_Layer):
    """The average or maximum of each kernel×kernel window; `stride` is the kernel's size unless given."""

    layer: Literal["pool"] = "pool"
    kind: Literal["average", "max"]
    kernel: Kernel
    stride: Kernel | None = None
    padding: Padding = 0


class GlobalPool(_Layer):
    """The average or maximum of each channel: (N, C, H, W) → (N, C)."""

    layer: Literal["global_pool"] = "global_pool"
    kind: Literal["average", "max"] = "average"


class Norm(_Layer):
    """Normalisation of each feature or channel, then a learned gain and offset.

    batch: by mean and variance of the batch (Ioffe and Szegedy, 2015); `momentum` is that of the running ones.
    conditional_batch: the same, with a gain and offset for each class (Dumoulin et al., 2017).
    virtual_batch: by those of a fixed reference batch and the item itself (Salimans et al., 2016, section 3.5).
    """

    layer: Literal["norm"] = "norm"
    kind: Literal["batch", "conditional_batch", "virtual_batch"] = "batch"
    momentum: Annotated[Fraction, Field(gt=0)] = 0.1
    epsilon: Positive = 1e-5


class Activation(_Layer):
    """A function applied to each number; `slope` is that of leaky ReLU for negative numbers."""

    layer: Literal["activation"] = "activation"
    kind: Literal["relu", "leaky_relu", "sigmoid", "softplus", "tanh"]
    slope: Fraction = 0.2


class Scale(_Layer):
    """factor · number + offset, fixed: 2i − 1 takes [0, 1] to [−1, 1], and (i + 1)/2 takes it back."""

    layer: Literal["scale"] = "scale"
    factor: Float = 1.0
    offset: Float = 0.0


class Dropout(_Layer):
    """Set each number to 0 with this probability while training, and scale the others up."""

    layer: Literal["dropout"] = "dropout"
    probability: Annotated[Fraction, Field(lt=1)] = 0.5


class Noise(_Layer):
    """Add Gaussian noise of this standard deviation while training."""

    layer: Literal["noise"] = "noise"
    std: Positive


class MinibatchDiscrimination(_Layer):
    """Append `size` numbers that measure how near each item is to the others of its batch (N, A) → (N, A + size).

    Any input is flattened to (N, A) first; T is A × size × dimensions (Salimans et al., 2016, section 3.2).
    """

    layer: Literal["minibatch_discrimination"] = "minibatch_discrimination"
    size: Annotated[Count, Field(le=1024)] = 100
    dimensions: Annotated[Count, Field(le=64)] = 5


class Labels(_Layer):
    """Append the item's class: A → A + n, or C×H×W → (C + n)×H×W with n planes of one number each.

    one_hot: n is the number of classes (Mirza and Osindero, 2014). embedding: n is `size`, learned for each class.
    """

    layer: Literal["labels"] = "labels"
    encoding: Literal["one_hot", "embedding"] = "one_hot"
    size: Annotated[Count, Field(le=4096)] = 50


class Projection(_Layer):
    """One logit of features h and class y: w·h + b + v[y]·h (Miyato and Koyama, 2018, section 3).

    Any input is flattened first; output (N, 1). A discriminator ends with it in the place of its last dense layer.
    """

    layer: Literal["projection"] = "projection"
    weights: Literal["plain", "spectral_norm"] = "plain"


BARE_NAMES: dict[str, dict[str, Any]] = {
    "relu": {"layer": "activation", "kind": "relu"},
    "leaky_relu": {"layer": "activation", "kind": "leaky_relu"},
    "sigmoid": {"layer": "activation", "kind": "sigmoid"},
    "softplus": {"layer": "activation", "kind": "softplus"},
    "tanh": {"layer": "activation", "kind": "tanh"},
    "batch_norm": {"layer": "norm", "kind": "batch"},
    "virtual_batch_norm": {"layer": "norm", "kind": "virtual_batch"},
    "global_pool": {"layer": "global_pool"},
    "minibatch_discrimination": {"layer": "minibatch_discrimination"},
    "labels": {"layer": "labels"},
    "projection": {"layer": "projection"},
    "dropout": {"layer": "dropout"},
    "flatten": {"layer": "flatten"},
}


def expand_bare_name(value: Any) -> Any:
    """Turn `relu` into the layer of that name; anything else passes unchanged."""
    if not isinstance(value, str):
        return value
    if value not in BARE_NAMES:
        kinds = [layer.model_fields["layer"].default for layer in _Layer.__subclasses__()]
        name = value if value in kinds else find_near(value, [*BARE_NAMES, *kinds])
        meant = f"; did you mean {name if name in BARE_NAMES else f'{{layer: {name}, …}}'}?" if name else ""
        raise ValueError(f"no layer is named {value[:60]!r} alone; allowed: {', '.join(BARE_NAMES)}{meant}")
    return BARE_NAMES[value]


LayerSpec = Annotated[
    Annotated[
        Dense
        | Conv
        | TransposedConv
        | Pool
        | GlobalPool
        | Reshape
        | Flatten
        | Norm
        | Activation
        | Scale
        | Dropout
        | Noise
        | MinibatchDiscrimination
        | Labels
        | Projection,
        Field(discriminator="layer"),
    ],
    BeforeValidator(expand_bare_name),
]


@cache
def _layer() -> TypeAdapter[Any]:
    return TypeAdapter(LayerSpec)


def read_layer(value: Any) -> Any:
    """Return one item of a list of layers as a layer; raises ValidationError."""
    return _layer().validate_python(value)


def trim_layer(value: Any) -> Any:
    """Return a layer without the fields that are as they would be anyway; unchanged where it cannot be read."""
    try:
        layer = read_layer(value)
    except ValidationError:
        return value
    return {"layer": layer.layer, **layer.model_dump(mode="json", exclude_defaults=True)}


def shorten_layer(value: Any) -> Any:
    """Return a layer as people write it: its bare name, where it has one that says all, or trimmed."""
    trimmed = trim_layer(value)
    return next((name for name, meant in BARE_NAMES.items() if trim_layer(meant) == trimmed), trimmed)


# What a layer begins with that is added by its name; a test looks that there is one of each kind.
NEW_LAYERS: dict[str, dict[str, Any]] = {
    "dense": {"layer": "dense", "size": 128},
    "conv": {"layer": "conv", "size": 64, "kernel": 4, "stride": 2, "padding": 1},
    "transposed_conv": {"layer": "transposed_conv", "size": 64, "kernel": 4, "stride": 2, "padding": 1},
    "reshape": {"layer": "reshape", "shape": [1, 1, 1]},
    "pool": {"layer": "pool", "kind": "average", "kernel": 2},
    **BARE_NAMES,
    "conditional_batch_norm": {"layer": "norm", "kind": "conditional_batch"},
    "scale": {"layer": "scale"},
    "noise": {"layer": "noise", "std": 0.1},
}


@dataclass(frozen=True)
class LayerField:
    """A field of a layer for people to fill in: its bounds, and its choices where only some values are allowed.

    default: None of a field that must be given, and of one that may be left empty.
    """

    name: str
    kind: Literal["integer", "number", "boolean", "choice", "shape"]
    is_required: bool
    default: Any
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]


@dataclass(frozen=True)
class LayerKind:
    """A kind of layer, what it does in a sentence, and its fields in their order."""

    name: str
    summary: str
    fields: tuple[LayerField, ...]


@cache
def describe_layers() -> tuple[LayerKind, ...]:
    """Return what each kind of layer is made of, from the models that validate them."""
    return tuple(
        LayerKind(
            model.model_fields["layer"].default,
            # The first paragraph without its source.
            " ".join((model.__doc__ or "").split("\n\n")[0].split()),
            tuple(
                _describe_field(name, schema, name in schema_of.get("required", ()))
                for name, schema in schema_of["properties"].items()
                if name != "layer"
            ),
        )
        for model in _Layer.__subclasses__()
        for schema_of in [model.model_json_schema()]
    )


def _describe_field(name: str, schema: dict[str, Any], is_required: bool) -> LayerField:
    # Of a field that may be left empty, what else it may be.
    value = next((part for part in schema.get("anyOf", ()) if part.get("type") != "null"), schema)
    kinds: dict[str, Any] = {"integer": "integer", "number": "number", "boolean": "boolean", "array": "shape"}
    return LayerField(
        name,
        "choice" if "enum" in value else kinds[value["type"]],
        is_required,
        schema.get("default"),
        # Behind a validator of its own, pydantic tells a number's bounds by their short names.
        next((value[bound] for bound in ("minimum", "gt", "ge") if bound in value), None),
        next((value[bound] for bound in ("maximum", "lt", "le") if bound in value), None),
        tuple(value.get("enum", ())),
    )


# The path of a layer in a spec, such as `discriminator.layers.1`.
LayerPath = Annotated[str, Field(pattern=r"^(generator|discriminator)\.layers\.(0|[1-9][0-9]{0,2})$")]


def split_layer_path(path: str) -> tuple[str, int]:
    """Return the player and the index of `discriminator.layers.1`."""
    player, _, index = path.split(".")
    return player, int(index)


def watched_layers(paths: Sequence[str], kinds: Mapping[str, Sequence[str]]) -> list[tuple[str, int]]:
    """Return player and index of the layers whose outputs are watched, in the order of both networks.

    paths: the layers that a spec names. kinds: of each player, the kind of every layer, such as `dense`. A layer
    right before an activation and the activation belong together: one is watched with the other.
    """
    found = set()
    for player, index in map(split_layer_path, paths):
        found.add((player, index))
        own = kinds[player]
        if own[index] == "activation" and index > 0:
            found.add((player, index - 1))
        elif own[index + 1 : index + 2] == ["activation"]:
            found.add((player, index + 1))
    return sorted(found, key=lambda place: (place[0] != "generator", place[1]))


def takes_labels(layers: Sequence[LayerSpec]) -> bool:
    """Return whether a network of these layers is conditional, that is, needs the class of each item."""
    return any(
        isinstance(layer, Labels | Projection) or (isinstance(layer, Norm) and layer.kind == "conditional_batch")
        for layer in layers
    )
