"""The pages that start a run: the recipes to begin with, and the form."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args
from urllib.parse import urlencode

import recipes
from dashboard.web.layout import Frame, LinkView
from dashboard.web.specs import FieldRow
from ganlib.errors import Problem
from ganlib.spec.files import read_spec_text
from ganlib.spec.sections.losses import PARTNERS

_COST = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>s|min|h)\b")
_SECTION = re.compile(r"^sections? (?=\d)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
# Groups by the most seconds of each; recipes without a time come last.
BANDS = (
    (90.0, "Up to a minute and a half"),
    (300.0, "Up to 5 minutes"),
    (900.0, "Up to a quarter of an hour"),
    (3600.0, "Up to an hour"),
    (4 * 3600.0, "Up to 4 hours"),
    (math.inf, "Longer: on a GPU, or for several nights"),
)
UNKNOWN = "Not known"


def read_seconds(cost: str) -> float | None:
    """Return the time in a recipe's cost, as in "about 1.5 min for 2,000 iterations on one CPU core", or None."""
    match = _COST.search(cost)
    return float(match["number"]) * _SECONDS[match["unit"]] if match else None


def name_band(seconds: float | None) -> str:
    """Return the heading of a recipe of this cost."""
    return UNKNOWN if seconds is None else next(name for most, name in BANDS if seconds <= most)


FIRST = "first-light"
Order = Literal["paper", "time"]
ORDERS: dict[Order, str] = {"paper": "By paper", "time": "Quickest first"}


@dataclass(frozen=True)
class RecipeView:
    """A recipe: its paper, its expected result, and its cost (in seconds too, where they are known).

    section: the part of the paper, as in a column of sections. place: the same, as in a sentence.
    """

    name: str
    href: str
    description: str
    dataset: str
    paper: str
    section: str
    place: str
    expected: str
    cost: str
    seconds: float | None


@dataclass(frozen=True)
class GroupView:
    """The recipes of one paper, or of about the same cost."""

    heading: str
    recipes: list[RecipeView]


@dataclass(frozen=True)
class NewRunPage:
    """The recipes to begin with; `first` is for a first run, `datasets` filter the others."""

    title: str
    frame: Frame
    first: RecipeView | None
    datasets: list[LinkView]
    orders: list[LinkView]
    order: Order
    groups: list[GroupView]


def build_new_run_page(
    recipes: Mapping[str, Mapping[str, Any]], frame: Frame, dataset: str = "", order: str = ""
) -> NewRunPage:
    """Return the page of the recipes, of one data set or of all; `recipes` are their specs, unchecked, by name."""
    views = {name: _build_recipe(name, spec) for name, spec in recipes.items()}
    counts = Counter(view.dataset for view in views.values())
    dataset = dataset if dataset in counts else ""
    chosen: Order = next((known for known in get_args(Order) if known == order), "paper")
    shown = [view for view in views.values() if view.dataset == dataset or not dataset]
    datasets = [
        LinkView(f"{name or 'All'} {count}", _recipes_href(name, chosen), name == dataset)
        for name, count in [("", len(views)), *counts.most_common()]
    ]
    orders = [LinkView(text, _recipes_href(dataset, known), known == chosen) for known, text in ORDERS.items()]
    groups = _group_by_time(shown) if chosen == "time" else _group_by_paper(shown)
    return NewRunPage("New run", frame, views.get(FIRST), datasets, orders, chosen, groups)


def _recipes_href(dataset: str, order: Order) -> str:
    query = {"data": dataset, "order": "" if order == "paper" else order}
    given = {key: value for key, value in query.items() if value}
    return f"/new?{urlencode(given)}" if given else "/new"


def _group_by_paper(views: Iterable[RecipeView]) -> list[GroupView]:
    papers: dict[str, list[RecipeView]] = {}
    for view in views:
        papers.setdefault(view.paper or "Others", []).append(view)
    return [GroupView(paper, papers[paper]) for paper in sorted(papers)]


def _group_by_time(views: Sequence[RecipeView]) -> list[GroupView]:
    bands: dict[str, list[RecipeView]] = {}
    # Recipes of equal cost stay in the order of their names.
    for view in sorted(views, key=lambda view: math.inf if view.seconds is None else view.seconds):
        bands.setdefault(name_band(view.seconds), []).append(view)
    return [GroupView(band, members) for band, members in bands.items()]


def _build_recipe(name: str, spec: Mapping[str, Any]) -> RecipeView:
    facts, dataset = spec.get("recipe") or {}, spec.get("dataset", "")
    section, cost = str(facts.get("section", "")), str(facts.get("cost", ""))
    return RecipeView(
        name=name,
        href=f"/new?{urlencode({'recipe': name})}",
        description=str(spec.get("description", "")),
        dataset=str(dataset.get("name", "")) if isinstance(dataset, Mapping) else str(dataset),
        paper=str(facts.get("paper", "")),
        section=_SECTION.sub("", section),
        place=f"section {section}" if section[:1].isdigit() else section,
        expected=str(facts.get("expected", "")),
        cost=cost,
        seconds=read_seconds(cost),
    )


@cache
def read_texts() -> dict[str, str]:
    """Return the recipes' texts by file name."""
    return recipes.read_texts()


@cache
def read_recipes() -> dict[str, dict[str, Any]]:
    """Return the specs of all recipes, unchecked, by name."""
    return {file.removesuffix(".yaml"): read_spec_text(text, file) for file, text in read_texts().items()}


YAML_FIELD = "yaml"
_GENERATOR_LOSSES = tuple(dict.fromkeys(name for names in PARTNERS.values() for name in names))
# For each player's losses, the other player's losses that go with it, for a script.
_PARTNERS_OF: Mapping[str, Mapping[str, str]] = {
    "losses.discriminator": {name: " ".join(names) for name, names in PARTNERS.items()},
    "losses.generator": {
        loss: " ".join(name for name, names in PARTNERS.items() if loss in names) for loss in _GENERATOR_LOSSES
    },
}


@dataclass(frozen=True)
class FieldSpec:
    """One field of the form: the path of its value in a spec, its label, and its allowed values."""

    path: str
    label: str
    kind: Literal["text", "integer", "decimal", "choice"]
    help: str = ""
    choices: tuple[str, ...] = ()
    player: str = ""


FIELDS = (
    FieldSpec("name", "Name", "text"),
    FieldSpec("iterations", "Iterations", "integer"),
    FieldSpec("seed", "Seed", "integer", "The same spec, seed, hardware and number of threads give the same run."),
    FieldSpec("batch_size", "Batch size", "integer"),
    FieldSpec("optimisers.generator.learning_rate", "Learning rate", "decimal", player="generator"),
    FieldSpec("optimisers.discriminator.learning_rate", "Learning rate", "decimal", player="discriminator"),
    FieldSpec("losses.generator", "Loss", "choice", choices=_GENERATOR_LOSSES, player="generator"),
    FieldSpec("losses.discriminator", "Loss", "choice", choices=tuple(PARTNERS), player="discriminator"),
    FieldSpec("discriminator_steps", "Discriminator updates", "integer", "For each update of the generator."),
    FieldSpec("dataset.labels", "Labels kept", "integer", "Of the training images; empty keeps all of them."),
    FieldSpec("sample_every", "Iterations between grids", "integer"),
    FieldSpec("checkpoint_every", "Iterations between checkpoints", "integer"),
    FieldSpec("device", "Device", "choice", choices=("auto", "cpu", "cuda")),
    FieldSpec("precision", "Precision", "choice", choices=("auto", "float32", "bfloat16")),
)


@dataclass(frozen=True)
class FieldView:
    """A field as the page shows it: its value, its first value, and its problem.

    partners: for each choice the values of the other player's field that go with it, separated by spaces.
    """

    id: str
    path: str
    label: str
    kind: str
    help: str
    choices: tuple[str, ...]
    partners: Mapping[str, str]
    player: str
    value: str
    was: str
    problem: str


@dataclass(frozen=True)
class ProblemView:
    """One problem, and a link to its part of the form."""

    field: str
    text: str
    href: str


@dataclass(frozen=True)
class Source:
    """The origin of the form's first values: a recipe or another run."""

    title: str
    introduction: str
    back_href: str
    back_text: str


@dataclass(frozen=True)
class Draft:
    """The values of the form: fields by path, their first values, the YAML, and the form's own key.

    A key that is posted twice with the same spec makes one run.
    """

    fields: Mapping[str, str]
    was: Mapping[str, str]
    yaml: str
    key: str


@dataclass(frozen=True)
class RunFormPage:
    """The form, after a refusal its problems, and the fields that the address changed: value before, value now."""

    title: str
    frame: Frame
    source: Source
    fields: list[FieldView]
    yaml: str
    yaml_problem: str
    key: str
    problems: list[ProblemView]
    changes: Sequence[FieldRow]
    summary: str
    action: str


def draft_of(spec: Mapping[str, Any], yaml_text: str, key: str) -> Draft:
    """Return the form's first values: `spec` has all its fields, `yaml_text` may leave some out."""
    values = {field.path: _show(_find(spec, field.path)) for field in FIELDS}
    return Draft(values, values, yaml_text, key)


def build_run_form(
    source: Source,
    draft: Draft,
    action: str,
    frame: Frame,
    problems: Sequence[Problem] = (),
    refusal: str = "",
    changes: Sequence[FieldRow] = (),
) -> RunFormPage:
    """Return the form with what was typed, and each problem beside its field.

    refusal: why nothing was queued, where no field is wrong.
    """
    fields = [_field(field, draft, problems) for field in FIELDS]
    shown = {field.path for field in fields if field.problem}
    elsewhere = [problem for problem in problems if problem.field not in shown]
    return RunFormPage(
        title=source.title,
        frame=frame,
        source=source,
        fields=fields,
        yaml=draft.yaml,
        yaml_problem=" ".join(f"{problem}." for problem in elsewhere),
        key=draft.key,
        problems=[_problem(problem, shown) for problem in problems],
        changes=changes,
        summary=refusal or ("Nothing was queued yet: " + _count(len(problems)) if problems else ""),
        action=action,
    )


def _field(field: FieldSpec, draft: Draft, problems: Sequence[Problem]) -> FieldView:
    own = [problem.message for problem in problems if problem.field == field.path]
    if own and field.path == "losses.generator":
        own += _name_partner(draft)
    value = draft.fields.get(field.path, "")
    # A value that this form does not know is one more choice.
    known = field.choices if not field.choices or value in field.choices else (value, *field.choices)
    return FieldView(
        id=f"field-{field.path.replace('.', '-')}",
        path=field.path,
        label=field.label,
        kind=field.kind,
        help=field.help,
        choices=known,
        partners=_PARTNERS_OF.get(field.path, {}),
        player=field.player,
        value=value,
        was=draft.was.get(field.path, ""),
        problem=_begin("; ".join(own)),
    )


def _begin(sentence: str) -> str:
    """Begin with a capital, unless the first word is a value of a spec."""
    return sentence if "_" in sentence.partition(" ")[0] else sentence[:1].upper() + sentence[1:]


def _name_partner(draft: Draft) -> list[str]:
    """Return the discriminator's loss that the generator's goes with, where another one is chosen."""
    chosen, beside = draft.fields.get("losses.generator", ""), draft.fields.get("losses.discriminator", "")
    partners = [name for name, generators in PARTNERS.items() if chosen in generators and name != beside]
    return [f"or choose {partners[0].replace('_', ' ')} for the discriminator too"] if partners else []


def _problem(problem: Problem, shown: set[str]) -> ProblemView:
    anchor = f"field-{problem.field.replace('.', '-')}" if problem.field in shown else f"field-{YAML_FIELD}"
    given = f" (given: {problem.given})" if problem.given else ""
    return ProblemView(problem.field or "The spec", f"{problem.message}{given}", f"#{anchor}")


def _count(count: int) -> str:
    return "one field is wrong." if count == 1 else f"{count} fields are wrong."


def _find(spec: Mapping[str, Any], path: str) -> Any:
    value: Any = spec
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _show(value: Any) -> str:
    return "" if value is None else str(value)
