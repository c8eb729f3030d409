"""`ganvas recipes`: the published experiments that ship."""

from importlib.resources import files

import click

from ganlib.spec import JobSpec, parse_spec
from ganlib.spec_files import read_spec_text
from ganvas.commands.options import json_option, print_json


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List the recipes: what each trains, whose experiment it is, and how long it runs."""
    specs = read_recipes()
    if as_json:
        items = [{"file": name, **spec.model_dump(mode="json")} for name, spec in specs.items()]
        print_json({"items": items, "next": None})
        return
    for name, spec in specs.items():
        click.echo(f"recipes/{name}")
        click.echo(f"    {spec.description}")
        click.echo(f"    {spec.dataset.name}, {spec.iterations:,} iterations of {spec.batch_size} images")


def read_recipes() -> dict[str, JobSpec]:
    """Return the specs by file name, in its order."""
    found = sorted(
        (entry for entry in files("recipes").iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name
    )
    return {
        entry.name: parse_spec(read_spec_text(entry.read_text(encoding="utf-8"), entry.name)) for entry in found
    }
