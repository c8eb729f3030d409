"""Both networks of a spec, layer by layer: shapes, weights, and what does not fit (no torch).

The same outline stands in `ganvas validate`, in the answer of `POST /specs/validate` and in the form of a new run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from pydantic import TypeAdapter, ValidationError

from ganlib.errors import Problem, ShapeMismatch
from ganlib.spec.layers import LayerSpec, read_layer
from ganlib.spec.presets import PRESETS
from ganlib.spec.sections.datasets import DatasetSpec
from ganlib.spec.sections.losses import LossesSpec
from ganlib.spec.sections.networks import LatentsSpec, NetworkSpec
from ganlib.spec.shapes import LayerOutline, Shape, count_parameters, outline_layers, output_shape, show_shape

MAX_PARAMETERS = 500_000_000
Player = Literal["generator", "discriminator"]


@dataclass(frozen=True)
class NetworkOutline:
    """One player's network as a spec lists it, whatever else is wrong with the spec.

    preset: the name that its layers come from, or "". given: what goes in, None where the spec does not say it.
    expected: the shape that must come out, and its meaning. written: each layer with all its fields, or as it was
    given where it cannot be read. layers: the outline of each. problem: what does not fit, or None.
    """

    player: Player
    preset: str
    given: Shape | None
    expected: Shape | None
    meaning: str
    written: list[dict[str, Any]]
    layers: list[LayerOutline]
    problem: Problem | None

    @property
    def parameters(self) -> int:
        """All trainable numbers, as far as the layers fit."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def work(self) -> int:
        """Multiplications for one item, forwards."""
        return sum(layer.work for layer in self.layers)


@dataclass(frozen=True)
class _Ends:
    """What goes into a network, what must come out, and what that means."""

    given: Shape
    expected: Shape
    meaning: str


def outline_networks(data: Mapping[str, Any]) -> list[NetworkOutline]:
    """Return both networks of what YAML or JSON gave, as far as they can be read."""
    dataset, latents, losses = (_read_section(data, name) for name in ("dataset", "latents", "losses"))
    is_known = None not in (dataset, latents, losses)
    return [
        _outline(
            player,
            data.get(player),
            _find_ends(player, dataset, latents, losses) if is_known else None,
            0 if dataset is None else dataset.class_count,
        )
        for player in get_args(Player)
    ]


def find_network_problem(
    player: Player, dataset: DatasetSpec, latents: LatentsSpec, network: NetworkSpec, losses: LossesSpec
) -> Problem | None:
    """Return the first of a player's layers that does not fit, and what is wrong with it, or None."""
    ends = _find_ends(player, dataset, latents, losses)
    return _find_problem(player, network.layers, ends, dataset.class_count)


def _outline(player: Player, section: Any, ends: _Ends | None, class_count: int) -> NetworkOutline:
    preset, items = _list_items(section)
    layers = list(map(_read_layer, items))
    readable = layers[: layers.index(None)] if None in layers else layers
    outlines = outline_layers(readable, ends.given, class_count) if ends else []
    outlines += [LayerOutline(None)] * (len(layers) - len(outlines))
    written = [
        layer.model_dump(mode="json") if layer else _show_item(item)
        for layer, item in zip(layers, items, strict=True)
    ]
    is_whole = ends is not None and bool(layers) and None not in layers
    problem = _find_problem(player, readable, ends, class_count) if ends and is_whole else None
    given, expected, meaning = (ends.given, ends.expected, ends.meaning) if ends else (None, None, "")
    return NetworkOutline(player, preset, given, expected, meaning, written, outlines, problem)


def _find_ends(player: Player, dataset: DatasetSpec, latents: LatentsSpec, losses: LossesSpec) -> _Ends:
    if player == "generator":
        return _Ends((latents.size,), dataset.shape, "the data set's images")
    meaning = "one logit" if losses.classes is None else f"classes: {{kind: {losses.classes.kind}}}"
    return _Ends(dataset.shape, (losses.output_count(dataset.class_count),), meaning)


def _find_problem(player: Player, layers: Sequence[LayerSpec], ends: _Ends, class_count: int) -> Problem | None:
    try:
        output = output_shape(layers, ends.given, class_count)
        parameters = count_parameters(layers, ends.given, class_count)
    except ShapeMismatch as error:
        return Problem(f"{player}.layers.{error.layer_index}", "", str(error))
    if output != ends.expected:
        last = len(layers) - 1
        return Problem(
            f"{player}.layers.{last}",
            "",
            f"the {player}'s output after layer {last} ({layers[last].layer}) is {show_shape(output)}, "
            f"but must be {show_shape(ends.expected)} ({ends.meaning})",
        )
    if parameters > MAX_PARAMETERS:
        return Problem(
            f"{player}.layers", "", f"{parameters:,} parameters are too many; at most {MAX_PARAMETERS:,}"
        )
    return None


def _list_items(section: Any) -> tuple[str, list[Any]]:
    """Return the preset that a network names, and its layers as they are written."""
    if not isinstance(section, Mapping) or ("preset" in section and "layers" in section):
        return "", []
    preset, layers = section.get("preset"), section.get("layers")
    if layers is None and isinstance(preset, str) and preset in PRESETS:
        return preset, PRESETS[preset]
    return "", list(layers) if isinstance(layers, list | tuple) else []


def _show_item(item: Any) -> dict[str, Any]:
    return dict(item) if isinstance(item, Mapping) else {"layer": str(item)[:100]}


def _read_layer(item: Any) -> Any:
    try:
        return read_layer(item)
    except ValidationError:
        return None


def _read_section(data: Mapping[str, Any], name: str) -> Any:
    """Return one section of a spec, with its defaults where it is absent, or None where it cannot be read."""
    value = data.get(name, {})
    if name == "dataset" and isinstance(value, str):
        value = {"name": value}
    try:
        return _sections()[name].validate_python(value)
    except ValidationError:
        return None


@cache
def _sections() -> dict[str, TypeAdapter[Any]]:
    kinds: dict[str, Any] = {"dataset": DatasetSpec, "latents": LatentsSpec, "losses": LossesSpec}
    return {name: TypeAdapter(kind) for name, kind in kinds.items()}
