"""Specs as people read them: as YAML, as rows of what several differ in, and networks with their shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any, Literal

from dashboard.web.formats import show_count
from ganlib.errors import GanlibError
from ganlib.spec.documents.differences import find_differences, show_item, show_value
from ganlib.spec.documents.render import render_yaml
from ganlib.spec.layers import LayerSpec
from ganlib.spec.parse import parse_spec
from ganlib.spec.shapes import Shape, count_parameters, show_shape, trace_shapes

# Fields that name a run for people, and do not change the experiment.
NAME_FIELDS = ("name", "description", "tags", "recipe")
# Differences in the order in which people think of them; what stands in none of these comes between.
FIRST_FIELDS = ("learning_rate", "losses", "optimisers", "batch_size", "iterations", "techniques", "dataset")
LAST_FIELDS = ("layers", "_every", "samples", "evaluation", "diagnosis", "queue", "device", "speed")
MOST_FIELDS = 80


def show_spec(spec: Mapping[str, object]) -> str:
    """Return the spec as YAML in its own order, without fields that are null, small mappings on one line."""
    return render_yaml(_without_nulls(spec), width=96, small_on_one_line=True)


def _without_nulls(value: Any) -> Any:
    """Return the value without the fields of its mappings that are null: a spec means the same without them."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class FieldRow:
    """One field of the spec: its value in each run, and whether that is the first run's."""

    path: str
    values: list[str]
    is_first: list[bool]


@dataclass(frozen=True)
class SpecDifference:
    """The fields that differ, in the spec's order, and how many more there are."""

    rows: list[FieldRow]
    more: str


def compare_specs(specs: Sequence[Mapping[str, Any]]) -> SpecDifference:
    """Return the fields in which these specs are not all alike, those that people ask for first before layers."""
    fields = find_differences("", list(specs))
    rows = [_row(path, values) for path, values in fields if path.partition("[")[0] not in NAME_FIELDS]
    rows.sort(key=lambda row: _rank(row.path))
    more = len(rows) - MOST_FIELDS
    return SpecDifference(rows[:MOST_FIELDS], f"and {show_count(more)} more" if more > 0 else "")


def _rank(path: str) -> int:
    """Return the place of a field among the differences; fields of one place keep the spec's order."""
    for place, words in ((1, LAST_FIELDS), (-1, FIRST_FIELDS)):
        found = next((index for index, word in enumerate(words) if word in path), None)
        if found is not None:
            return place * 100 + found
    return 0


def _row(path: str, values: list[Any]) -> FieldRow:
    return FieldRow(path, [_show_lines(value) for value in values], [value == values[0] for value in values])


def _show_lines(value: Any) -> str:
    """Return a value in words; of a list of sections, such as layers, one a line."""
    is_list = isinstance(value, list) and any(isinstance(item, Mapping) for item in value)
    return "\n".join(map(show_item, value)) if is_list else show_value(value)


@dataclass(frozen=True)
class BlockView:
    """Layers of a network up to the next shape: their words, the shape that they give, and their parameters.

    width and height of its box, in pixels: as there are features or channels, and as large as its images are.
    """

    layers: list[str]
    shape: str
    parameters: str
    width: int
    height: int


@dataclass(frozen=True)
class NetworkView:
    """One player's network from its input on."""

    player: Literal["generator", "discriminator"]
    parameters: str
    blocks: list[BlockView]


def build_networks(spec: Mapping[str, Any]) -> list[NetworkView]:
    """Return both networks of a spec; none of one that another version wrote and this one does not read."""
    try:
        job = parse_spec(dict(spec))
        image, classes = job.dataset.shape, job.dataset.class_count
        return [
            _build_network("generator", job.generator.layers, (job.latents.size,), "latents", classes),
            _build_network("discriminator", job.discriminator.layers, image, "image", classes),
        ]
    except GanlibError:
        return []


# These are drawn on their own, also where they keep the shape.
_STARTS_BLOCK = ("dense", "conv", "transposed_conv")


def _build_network(
    player: Literal["generator", "discriminator"],
    layers: Sequence[LayerSpec],
    given: Shape,
    word: str,
    classes: int,
) -> NetworkView:
    blocks: list[tuple[list[str], Shape, int]] = [([word], given, 0)]
    before = given
    for layer, shape in zip(layers, trace_shapes(layers, given, classes), strict=True):
        words, count = _say_layer(layer), count_parameters([layer], before, classes)
        if shape == before and layer.layer not in _STARTS_BLOCK:
            last, _, total = blocks[-1]
            blocks[-1] = ([*last, words], shape, total + count)
        else:
            blocks.append(([words], shape, count))
        before = shape
    total = count_parameters(layers, given, classes)
    return NetworkView(player, show_count(total), [_build_block(*block) for block in blocks])


def _build_block(layers: list[str], shape: Shape, parameters: int) -> BlockView:
    """Return a block: a vector is high and thin, images are as high as they are, and wider with more channels."""
    side = shape[1] if len(shape) == 3 else shape[0]
    channels = shape[0] if len(shape) == 3 else 1
    return BlockView(
        layers=layers,
        shape=show_shape(shape),
        parameters=show_count(parameters) if parameters else "",
        width=round(8 + 4 * log2(channels)),
        height=round(12 + 10 * log2(max(1, side))),
    )


def _say_layer(layer: LayerSpec) -> str:
    """Return a layer in a few words: conv 5, stride 2; batch norm; leaky relu."""
    given = layer.model_dump(exclude_defaults=True, exclude={"layer", "kind", "size", "shape"})
    kind = str(getattr(layer, "kind", ""))
    name = kind if kind and layer.layer == "activation" else " ".join(filter(None, (kind, layer.layer)))
    parts = [
        f"{key} {show_value(value)}" if key != "weights" else show_value(value) for key, value in given.items()
    ]
    return ", ".join([name, *parts]).replace("_", " ")
