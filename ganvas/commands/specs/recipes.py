"""`ganvas recipes`: the published experiments that ship, as a table, at length, or one whole."""

import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from textwrap import fill

import click

from ganlib.spec.documents.suggestions import find_near
from ganlib.spec.files import read_spec_text
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec
from ganvas.commands.options import complete_recipes, json_option, print_json
from ganvas.commands.tables import Cell, cut, render_table
from recipes import read_texts

WIDTH = 80
_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|min|m|h|d)")
_FAULT_TAG, _FAULT_PREFIX = "fault", "fault-"


class Span(click.ParamType[float]):
    """A length of time: 90s, 5min, 2h."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return it in seconds."""
        match = _SPAN.fullmatch(str(value).strip().lower())
        if match is None:
            self.fail(f"{value!r} is no length of time; write 90s, 5min or 2h.", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


@click.command()
@click.argument("name", metavar="[NAME|TEXT]", required=False, shell_complete=complete_recipes)
@click.option("--dataset", metavar="NAME", help="Only those that train on this data: mnist.")
@click.option("--under", type=Span(), help="Only those that take less, on what their cost names: 5min.")
@click.option(
    "--fault",
    metavar="RULE",
    is_flag=False,
    flag_value="",
    help="Only those that were made to show a fault, or this one: mode_collapse.",
)
@click.option("--long", "is_long", is_flag=True, help="Say what to expect of each, and where it is from.")
@json_option
def recipes_command(
    name: str | None, dataset: str | None, under: float | None, fault: str | None, is_long: bool, as_json: bool
) -> None:
    """List the recipes: what each trains on, how long, and whose experiment it is.

    With NAME, such as winkler-mnist, show that recipe whole: its source, what was assumed, and every setting. Any
    other TEXT finds the recipes in which it stands.
    """
    texts = read_texts()
    is_one = name is not None and find_file(name, texts) is not None
    if name is not None:
        texts = find_texts(name, texts)
    specs = {file: parse_spec(read_spec_text(text, file)) for file, text in texts.items()}
    if not is_one:
        specs = choose(specs, dataset, under, fault)
    items = [{"file": file, **spec.model_dump(mode="json")} for file, spec in specs.items()]
    if as_json:
        print_json(items[0] if is_one else {"items": items, "next": None})
    elif is_one:
        click.echo(next(iter(texts.values())), nl=False)
    elif not specs:
        click.echo("No recipe is like this; `ganvas recipes` lists them all.")
    elif is_long:
        click.echo("\n\n".join(render_recipe(file, spec) for file, spec in specs.items()))
    else:
        click.echo(render_recipes(specs))
        click.echo("\nCosts: one idle core. One whole: ganvas recipes NAME. Train: ganvas submit NAME.")


def choose(
    specs: Mapping[str, JobSpec], dataset: str | None, under: float | None, fault: str | None
) -> dict[str, JobSpec]:
    """Return the recipes that pass these filters; raises UsageError for data or a fault that none has."""
    if dataset is not None:
        _check_known("--dataset", dataset, {spec.dataset.name for spec in specs.values()})
    if fault:
        _check_known("--fault", fault, {_read_fault(file) for file in specs} - {""})
    return {
        file: spec
        for file, spec in specs.items()
        if (dataset is None or spec.dataset.name == dataset)
        and (under is None or _read_seconds(spec) < under)
        and (fault is None or (_FAULT_TAG in spec.tags and fault in ("", _read_fault(file))))
    }


def _check_known(option: str, given: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if given not in names and names:
        near = find_near(given, names, cutoff=0.6)
        advice = f"did you mean {near}?" if near else f"there are: {', '.join(names)}."
        raise click.UsageError(f"No recipe has {option} {given}; {advice}")


def _read_fault(file: str) -> str:
    """Return the rule that a recipe was made for: fault-mode-collapse.yaml shows mode_collapse."""
    if not file.startswith(_FAULT_PREFIX):
        return ""
    return file.removeprefix(_FAULT_PREFIX).removesuffix(".yaml").replace("-", "_")


def _read_seconds(spec: JobSpec) -> float:
    """Return the length that the recipe's cost names first, infinite where it names none."""
    match = _SPAN.search(spec.recipe.cost) if spec.recipe else None
    return float(match[1]) * _UNITS[match[2]] if match else float("inf")


def find_file(given: str, texts: Mapping[str, str]) -> str | None:
    """Return the file name of a recipe, given with or without folder and ending, or None."""
    file = f"{given.removeprefix('recipes/').removesuffix('.yaml')}.yaml"
    return file if file in texts else None


def find_texts(given: str, texts: Mapping[str, str]) -> dict[str, str]:
    """Return the recipe of this name, or those in which this text stands; raises UsageError if there are none."""
    file = find_file(given, texts)
    if file is not None:
        return {file: texts[file]}
    words = given.casefold()
    found = {file: text for file, text in texts.items() if words in file or words in text.casefold()}
    if found:
        return found
    near = find_near(given.removeprefix("recipes/"), [file.removesuffix(".yaml") for file in texts], cutoff=0.6)
    hint = f"did you mean {near}?" if near else "`ganvas recipes` lists them."
    raise click.UsageError(f"No recipe is called {given!r}; {hint}")


def render_recipes(specs: Mapping[str, JobSpec]) -> str:
    """Return the table, as wide as the terminal, or in 80 columns."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    rows: list[list[Cell | str]] = []
    for file, spec in specs.items():
        span = _SPAN.search(spec.recipe.cost) if spec.recipe else None
        paper = spec.recipe.paper if spec.recipe else spec.description
        name = Cell(file.removesuffix(".yaml"), bold=True)
        rows.append([name, spec.dataset.name, f"{span[1]} {span[2]}" if span else "–", paper])
    fixed = [max(len(str(getattr(row[place], "text", row[place]))) for row in rows) for place in range(3)]
    left = width - sum(max(width, 7) for width in fixed) - 6
    rows = [[*row[:3], cut(str(row[3]), left)] for row in rows]
    return render_table(["name", "dataset", "cost", "paper"], rows, right=("cost",))


def render_recipe(file: str, spec: JobSpec) -> str:
    """Return one recipe as a few lines of at most 80 columns."""
    rows = [f"recipes/{file}"]
    if spec.recipe is None:
        return "\n".join([*rows, _row("", spec.description)])
    facts = spec.recipe
    # Most sources number their sections; others are quoted by name, such as "appendix C".
    where = f"section {facts.section}" if facts.section[0].isdigit() else facts.section
    rows += [
        _row("paper", f"{facts.paper}, {where}"),
        _row("expected", facts.expected),
        _row("cost", facts.cost),
    ]
    return "\n".join(rows)


def _row(label: str, text: str) -> str:
    return fill(text, WIDTH, initial_indent=f"    {label:<10}", subsequent_indent=" " * 14)
