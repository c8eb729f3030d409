"""Latents, layer lists and initial weights."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ganlib.spec.documents.suggestions import ask_near
from ganlib.spec.fields import Count, Positive, Section
from ganlib.spec.layers import LayerSpec
from ganlib.spec.presets import PRESETS

MAX_LAYERS = 256


class LatentsSpec(Section):
    """Latents (N, size): uniform in [−1, 1], or standard normal."""

    size: Annotated[Count, Field(le=4096)] = 100
    distribution: Literal["uniform", "normal"] = "normal"


class NormalInit(Section):
    """Weights of dense and convolutional layers from N(0, std²), biases 0; batch norm's gain from N(1, std²)."""

    kind: Literal["normal"] = "normal"
    std: Positive = 0.02


class DefaultInit(Section):
    """PyTorch's own initialisation of each layer."""

    kind: Literal["default"] = "default"


InitSpec = Annotated[NormalInit | DefaultInit, Field(discriminator="kind")]


class NetworkSpec(Section):
    """A network as a list of layers, or the name of a preset.

    reference_size: items of the batch that is drawn before training for virtual batch normalisation, and for
    the first lengths of weight normalisation; without these layers it changes nothing.
    """

    layers: Annotated[tuple[LayerSpec, ...], Field(min_length=1, max_length=MAX_LAYERS)]
    init: InitSpec = DefaultInit()
    reference_size: Annotated[Count, Field(ge=2, le=4096)] = 64

    @model_validator(mode="before")
    @classmethod
    def expand_preset(cls, value: Any) -> Any:
        """Replace `preset: name` by its layers."""
        if not isinstance(value, dict) or "preset" not in value:
            return value
        if "layers" in value:
            raise ValueError("give either a preset or layers, not both")
        name = value["preset"]
        if not isinstance(name, str) or name not in PRESETS:
            meant = ask_near(str(name)[:100], PRESETS)
            raise ValueError(f"no preset is named {str(name)[:60]!r}; allowed: {', '.join(PRESETS)}{meant}")
        rest = {key: item for key, item in value.items() if key != "preset"}
        return {"layers": PRESETS[name], **rest}
