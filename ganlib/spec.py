"""The job spec: everything that decides what a training run does, checked before it runs (no torch).

`parse_spec` takes what YAML or JSON gave; `load_spec` reads a file. Both raise SpecInvalid, which names each
field, what was given and what is allowed.
"""

from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ganlib.errors import Problem, ShapeMismatch, SpecInvalid
from ganlib.layers import BARE_NAMES, LayerSpec
from ganlib.networks.presets import PRESETS
from ganlib.numbers import Count, Float, Fraction, Natural, Positive
from ganlib.shapes import Shape, count_parameters, output_shape, show_shape
from ganlib.spec_problems import problems_of

MAX_ITERATIONS = 10_000_000
MAX_PARAMETERS = 500_000_000
MAX_LAYERS = 256
MAX_GRID_PIXELS = 16_000_000
MAX_SAMPLE_GRIDS = 100_000
MAX_SPEC_BYTES = 1_048_576

# Shapes (channels, height, width) of the images as they lie on disk.
DATASET_SHAPES: dict[str, Shape] = {"mnist": (1, 28, 28), "digits": (1, 8, 8)}

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,99}$")]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,49}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DatasetSpec(_Section):
    """Real images. `size` resizes them to size×size pixels; without it they stay as they are on disk."""

    name: Literal["mnist", "digits"]
    size: Annotated[Count, Field(ge=4, le=256)] | None = None

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        channels, height, width = DATASET_SHAPES[self.name]
        return (channels, self.size or height, self.size or width)


class LatentsSpec(_Section):
    """Latents (N, size): uniform in [−1, 1], or standard normal."""

    size: Annotated[Count, Field(le=4096)] = 100
    distribution: Literal["uniform", "normal"] = "normal"


class NormalInit(_Section):
    """Weights of dense and convolutional layers from N(0, std²), biases 0; batch norm's gain from N(1, std²)."""

    kind: Literal["normal"] = "normal"
    std: Positive = 0.02


class DefaultInit(_Section):
    """PyTorch's own initialisation of each layer."""

    kind: Literal["default"] = "default"


InitSpec = Annotated[NormalInit | DefaultInit, Field(discriminator="kind")]


class NetworkSpec(_Section):
    """A network as a list of layers, or a preset's name that stands for such a list."""

    layers: Annotated[tuple[LayerSpec, ...], Field(min_length=1, max_length=MAX_LAYERS)]
    init: InitSpec = DefaultInit()

    @model_validator(mode="before")
    @classmethod
    def expand_preset(cls, value: Any) -> Any:
        """Replace `preset: name` by the layers that it stands for."""
        if not isinstance(value, dict) or "preset" not in value:
            return value
        if "layers" in value:
            raise ValueError("give either a preset or layers, not both")
        name = value["preset"]
        if not isinstance(name, str) or name not in PRESETS:
            raise ValueError(f"no preset is named {name!r}; allowed: {', '.join(PRESETS)}")
        rest = {key: item for key, item in value.items() if key != "preset"}
        return {"layers": PRESETS[name], **rest}


class LossesSpec(_Section):
    """Which loss each player minimises (Goodfellow et al., 2014)."""

    discriminator: Literal["minimax"] = "minimax"
    generator: Literal["minimax", "non_saturating"] = "non_saturating"


class AdamSpec(_Section):
    """Adam (Kingma and Ba, 2015)."""

    kind: Literal["adam"] = "adam"
    learning_rate: Annotated[Positive, Field(le=10)] = 2e-4
    betas: tuple[Annotated[Fraction, Field(lt=1)], Annotated[Fraction, Field(lt=1)]] = (0.5, 0.999)
    epsilon: Positive = 1e-8


class OptimisersSpec(_Section):
    """One optimiser a player."""

    generator: AdamSpec = AdamSpec()
    discriminator: AdamSpec = AdamSpec()


class EmaGeneratorSpec(_Section):
    """Draw samples from an exponential moving average of the generator's weights.

    average ← decay · average + (1 − decay) · weights after each iteration, from iteration `start` on.
    """

    technique: Literal["ema_generator"] = "ema_generator"
    decay: Annotated[Float, Field(ge=0, lt=1)] = 0.999
    start: Natural = 0


TechniqueSpec = EmaGeneratorSpec  # a union, discriminated by `technique`, once there is a second one


class SamplesSpec(_Section):
    """The sample grid: rows × columns images of the fixed latents."""

    rows: Annotated[Count, Field(le=32)] = 8
    columns: Annotated[Count, Field(le=32)] = 8


class JobSpec(_Section):
    """One training run. Same spec and seed, same hardware: same bytes."""

    name: Name
    description: Annotated[str, Field(max_length=4000)] = ""
    tags: Annotated[tuple[Tag, ...], Field(max_length=32)] = ()
    seed: Annotated[Natural, Field(le=2**63 - 1)] = 0
    dataset: DatasetSpec
    latents: LatentsSpec = LatentsSpec()
    generator: NetworkSpec
    discriminator: NetworkSpec
    losses: LossesSpec = LossesSpec()
    optimisers: OptimisersSpec = OptimisersSpec()
    techniques: Annotated[tuple[TechniqueSpec, ...], Field(max_length=32)] = ()
    iterations: Annotated[Count, Field(le=MAX_ITERATIONS)]
    batch_size: Annotated[Count, Field(ge=2, le=4096)] = 64
    log_every: Count = 10
    sample_every: Count = 100
    checkpoint_every: Count = 500
    samples: SamplesSpec = SamplesSpec()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @field_validator("dataset", mode="before")
    @classmethod
    def expand_dataset_name(cls, value: Any) -> Any:
        """Allow `dataset: mnist` for `dataset: {name: mnist}`."""
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def check_generator(self) -> Self:
        """The generator must turn latents into images of the data's shape."""
        _check_network(self, "generator", (self.latents.size,), self.dataset.shape, "the data set's images")
        return self

    @model_validator(mode="after")
    def check_discriminator(self) -> Self:
        """The discriminator must turn an image into one logit."""
        _check_network(self, "discriminator", self.dataset.shape, (1,), "one logit")
        return self

    @model_validator(mode="after")
    def check_grids(self) -> Self:
        """Grids must be few enough to keep and small enough to look at."""
        _, height, width = self.dataset.shape
        pixels = self.samples.rows * self.samples.columns * height * width
        if pixels > MAX_GRID_PIXELS:
            raise _problem("samples", f"a grid of {pixels:,} pixels is too large; at most {MAX_GRID_PIXELS:,}")
        grids = self.iterations // self.sample_every
        if grids > MAX_SAMPLE_GRIDS:
            raise _problem(
                "sample_every",
                f"{grids:,} grids would be kept; at most {MAX_SAMPLE_GRIDS:,}: raise sample_every",
            )
        return self


def parse_spec(data: Any) -> JobSpec:
    """Check what YAML or JSON gave and return the spec; raises SpecInvalid."""
    if not isinstance(data, dict):
        shown = type(data).__name__ if data is not None else "nothing"
        raise SpecInvalid([Problem("", shown, "a spec is a mapping of fields to values")])
    try:
        return JobSpec.model_validate(data)
    except ValidationError as error:
        raise SpecInvalid(problems_of(error)) from None


def read_spec_file(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML or JSON file, unchecked; raises SpecInvalid when it is no mapping."""
    try:
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise SpecInvalid([Problem("", str(path), f"a spec file holds at most {MAX_SPEC_BYTES:,} bytes")])
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecInvalid([Problem("", str(path), f"the file cannot be read: {error.strerror}")]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise SpecInvalid([Problem("", str(path), f"the file is neither YAML nor JSON: {reason}")]) from None
    if not isinstance(data, dict):
        raise SpecInvalid([Problem("", str(path), "a spec is a mapping of fields to values")])
    return data


def load_spec(path: Path) -> JobSpec:
    """Read and check a YAML or JSON file; raises SpecInvalid."""
    return parse_spec(read_spec_file(path))


def apply_overrides(data: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Return a copy of the mapping with each `path=value` set; values are read as YAML.

    A path is dotted and may count into lists: `optimisers.generator.learning_rate=1e-3`,
    `generator.layers.0.size=512`, also where the spec uses a shorthand such as a preset. Raises SpecInvalid for
    a path that cannot be set.
    """
    changed: dict[str, Any] = yaml.safe_load(yaml.safe_dump(data))
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise SpecInvalid([Problem("--set", override, "write path=value, such as iterations=500")])
        try:
            _set_path(changed, path.split("."), yaml.safe_load(text))
        except (yaml.YAMLError, LookupError, ValueError, TypeError):
            raise SpecInvalid([Problem(path, text, "this path or value cannot be set in the spec")]) from None
    return changed


def _set_path(node: Any, keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        node = _step_into(node, key)
    last = keys[-1]
    if isinstance(node, list):
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise TypeError(last)


def _step_into(node: Any, key: str) -> Any:
    """Return what lies under the key, written out in full where the spec used a shorthand."""
    place: Any = int(key) if isinstance(node, list) else key
    if key == "layers" and "preset" in node:
        node[key] = deepcopy(PRESETS[node.pop("preset")])
    child = node[place] if isinstance(node, list) else node.setdefault(key, {})
    if isinstance(child, str) and key == "dataset":
        child = node[place] = {"name": child}
    elif isinstance(child, str) and isinstance(node, list):
        child = node[place] = dict(BARE_NAMES[child])
    return child


def _problem(field: str, message: str) -> ValueError:
    return ValueError(f"@{field}@{message}")


def _check_network(spec: JobSpec, player: str, given: Shape, wanted: Shape, meaning: str) -> None:
    layers = getattr(spec, player).layers
    try:
        output = output_shape(layers, given)
        parameters = count_parameters(layers, given)
    except ShapeMismatch as error:
        raise _problem(f"{player}.layers.{error.layer_index}", str(error)) from None
    if output != wanted:
        last = len(layers) - 1
        raise _problem(
            f"{player}.layers.{last}",
            f"the {player}'s output after layer {last} ({layers[last].layer}) is {show_shape(output)}, "
            f"but must be {show_shape(wanted)} ({meaning})",
        )
    if parameters > MAX_PARAMETERS:
        raise _problem(f"{player}.layers", f"{parameters:,} parameters are too many; at most {MAX_PARAMETERS:,}")
