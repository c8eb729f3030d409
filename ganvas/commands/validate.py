"""`ganvas validate`: check a spec without a service and without torch."""

from collections.abc import Sequence
from pathlib import Path

import click

from ganlib.layers import LayerSpec
from ganlib.shapes import Shape, count_parameters, show_shape, trace_shapes
from ganlib.spec import JobSpec, parse_spec
from ganvas.commands.options import json_option, print_json, read_spec, set_option, spec_argument


@click.command()
@spec_argument
@set_option
@json_option
def command(spec_path: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check SPEC (a file, or a recipe's name) and show its networks' shapes; --json prints it with defaults."""
    spec = parse_spec(read_spec(spec_path, overrides))
    if as_json:
        print_json(spec)
        return
    click.echo(f"{spec.name}: valid, {spec.iterations:,} iterations on {spec.dataset.name}")
    click.echo(render_network("generator", spec.generator.layers, (spec.latents.size,), spec.dataset.class_count))
    click.echo(
        render_network("discriminator", spec.discriminator.layers, spec.dataset.shape, spec.dataset.class_count)
    )
    click.echo(render_cost(spec))


def render_network(name: str, layers: Sequence[LayerSpec], input_shape: Shape, class_count: int) -> str:
    """Return the architecture table of one network, as text."""
    rows = [
        f"\n{name}  ({count_parameters(layers, input_shape, class_count):,} parameters)",
        f"  {show_shape(input_shape):>12}",
    ]
    for layer, shape in zip(layers, trace_shapes(layers, input_shape, class_count), strict=True):
        given = layer.model_dump(exclude_defaults=True, exclude={"layer"})
        arguments = "  ".join(f"{key} {value}" for key, value in given.items())
        rows.append(f"  {show_shape(shape):>12}  {layer.layer:<16}{arguments}".rstrip())
    return "\n".join(rows)


def render_cost(spec: JobSpec) -> str:
    """Return how much the run will record, as text."""
    # The last iteration always has both; a grid is drawn before the first one too.
    grids = 1 + -(-spec.iterations // spec.sample_every)
    checkpoints = -(-spec.iterations // spec.checkpoint_every)
    return f"\n{grids:,} sample grids of {spec.samples.rows}×{spec.samples.columns}, {checkpoints:,} checkpoints"
