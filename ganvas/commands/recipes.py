"""`ganvas recipes`: the published experiments that ship."""

from difflib import get_close_matches
from textwrap import fill

import click

from ganlib.spec import JobSpec, parse_spec
from ganlib.spec_files import read_spec_text
from ganvas.commands.options import json_option, print_json
from recipes import read_texts

WIDTH = 80


@click.command()
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the recipes: whose experiment each is, what to expect of it, and what it costs.

    With NAME, such as winkler-mnist, show that recipe whole: its source, what was assumed, and every setting.
    """
    texts = read_texts()
    if name is not None:
        name = find_name(name, texts)
        texts = {name: texts[name]}
    specs = {file: parse_spec(read_spec_text(text, file)) for file, text in texts.items()}
    items = [{"file": file, **spec.model_dump(mode="json")} for file, spec in specs.items()]
    if as_json:
        print_json(items[0] if name is not None else {"items": items, "next": None})
    elif name is not None:
        click.echo(texts[name], nl=False)
    else:
        click.echo("\n\n".join(render_recipe(file, spec) for file, spec in specs.items()))


def find_name(given: str, texts: dict[str, str]) -> str:
    """Return the file name that was meant: with or without its folder and ending; refuses an unknown one."""
    wanted = given.removeprefix("recipes/").removesuffix(".yaml")
    names = [file.removesuffix(".yaml") for file in texts]
    if wanted in names:
        return f"{wanted}.yaml"
    near = get_close_matches(wanted, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`ganvas recipes` lists them."
    raise click.UsageError(f"No recipe is called {given!r}; {hint}")


def render_recipe(file: str, spec: JobSpec) -> str:
    """Return one recipe as a few lines of at most 80 columns."""
    rows = [f"recipes/{file}"]
    if spec.recipe is None:
        return "\n".join([*rows, _row("", spec.description)])
    facts = spec.recipe
    # Most sources number their sections; others are quoted by a word of their own.
    where = f"section {facts.section}" if facts.section[0].isdigit() else facts.section
    rows += [
        _row("paper", f"{facts.paper}, {where}"),
        _row("expected", facts.expected),
        _row("cost", facts.cost),
    ]
    return "\n".join(rows)


def _row(label: str, text: str) -> str:
    return fill(text, WIDTH, initial_indent=f"    {label:<10}", subsequent_indent=" " * 14)
