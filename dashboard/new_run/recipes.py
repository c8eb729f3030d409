"""The page of the recipes: a card for each, with a picture of what it gives, and the filters above them."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlencode

import recipes
from api.artifacts.png import check_png_header
from dashboard.web.layout import Frame, LinkView
from ganlib.spec.files import read_spec_text
from ganlib.spec.sections.execution import COST, read_seconds

_LOOKS = Path(__file__).parents[1] / "static/recipes.json"
# Groups by the most seconds of each; recipes without a time come last.
BANDS = (
    (60.0, "Up to a minute"),
    (300.0, "Up to 5 minutes"),
    (900.0, "Up to a quarter of an hour"),
    (3600.0, "Up to an hour"),
    (4 * 3600.0, "Up to 4 hours"),
    (math.inf, "Longer: on a GPU, or for several nights"),
)
UNKNOWN = "Not known"
# Groups of recipes that nobody begins with are folded, unless a filter asked for them.
FOLDED_AFTER = 3600.0


def name_band(seconds: float | None) -> str:
    """Return the heading of a recipe of this cost."""
    return UNKNOWN if seconds is None else next(name for most, name in BANDS if seconds <= most)


FIRST = "first-light"
Order = Literal["time", "paper"]
ORDERS: dict[Order, str] = {"time": "Quickest first", "paper": "By paper"}


@dataclass(frozen=True)
class Look:
    """The place of a recipe's picture in the sheet of all of them, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class RecipeView:
    """A recipe: its paper, its expected result, and its cost (in seconds too, where they are known).

    place: the part of the paper, as in a sentence. time: the cost without its words, as "1.5 min". look: its
    samples, or None where it was not run here to a picture. with_gpu: whether it is meant for one.
    """

    name: str
    href: str
    description: str
    dataset: str
    tags: frozenset[str]
    paper: str
    place: str
    expected: str
    cost: str
    time: str
    with_gpu: bool
    seconds: float | None
    look: Look | None


@dataclass(frozen=True)
class GroupView:
    """The recipes of one paper, or of about the same cost; folded where few look for them."""

    heading: str
    recipes: list[RecipeView]
    folded: bool


@dataclass(frozen=True)
class NewRunPage:
    """The recipes to begin with; `first` is for a first run, `kinds` and `datasets` filter the others.

    sheet: width and height of the sheet of all pictures.
    """

    title: str
    frame: Frame
    first: RecipeView | None
    kinds: list[LinkView]
    datasets: list[LinkView]
    orders: list[LinkView]
    count: str
    groups: list[GroupView]
    sheet: tuple[int, int]


Kind = Literal["quick", "conditional", "labels", "collapse", "fault"]
# What people look for, by the word of the address.
KINDS: dict[Kind, tuple[str, Callable[[RecipeView], bool]]] = {
    "quick": ("Under a minute", lambda view: view.seconds is not None and view.seconds < 60),
    "conditional": ("Conditional", lambda view: "conditional" in view.tags),
    "labels": ("Few labels", lambda view: "semi-supervised" in view.tags),
    "collapse": ("Collapses", lambda view: "collapse" in view.tags),
    "fault": ("Planted faults", lambda view: "fault" in view.tags),
}


def build_new_run_page(
    recipes: Mapping[str, Mapping[str, Any]], frame: Frame, dataset: str = "", kind: str = "", order: str = ""
) -> NewRunPage:
    """Return the page of the recipes, of a kind and a data set or of all; `recipes`: unchecked specs by name."""
    views = {name: _build_recipe(name, spec) for name, spec in recipes.items()}
    counts = Counter(view.dataset for view in views.values())
    dataset = dataset if dataset in counts else ""
    chosen_kind: Kind | None = next((known for known in get_args(Kind) if known == kind), None)
    chosen: Order = "paper" if order == "paper" else "time"
    suits = KINDS[chosen_kind][1] if chosen_kind else _suits_all
    shown = [view for view in views.values() if view.dataset == (dataset or view.dataset) and suits(view)]
    datasets = [
        LinkView(name or "All data", _recipes_href(name, chosen_kind or "", chosen), name == dataset)
        for name in ["", *(name for name, _ in counts.most_common())]
    ]
    kinds = [
        LinkView(text, _recipes_href(dataset, known, chosen), known == (chosen_kind or ""))
        for known, text in [("", "All"), *((known, text) for known, (text, _) in KINDS.items())]
    ]
    orders = [
        LinkView(text, _recipes_href(dataset, chosen_kind or "", known), known == chosen)
        for known, text in ORDERS.items()
    ]
    is_filtered = bool(dataset or chosen_kind)
    groups = _group_by_time(shown, not is_filtered) if chosen == "time" else _group_by_paper(shown)
    first = None if is_filtered else views.get(FIRST)
    count = f"{len(shown)} recipe{'' if len(shown) == 1 else 's'}"
    return NewRunPage("New run", frame, first, kinds, datasets, orders, count, groups, read_sheet())


def _suits_all(_view: RecipeView) -> bool:
    return True


def _recipes_href(dataset: str, kind: str, order: Order) -> str:
    query = {"data": dataset, "kind": kind, "order": "" if order == "time" else order}
    given = {key: value for key, value in query.items() if value}
    return f"/new?{urlencode(given)}" if given else "/new"


def _group_by_paper(views: Iterable[RecipeView]) -> list[GroupView]:
    papers: dict[str, list[RecipeView]] = {}
    for view in views:
        papers.setdefault(view.paper or "Others", []).append(view)
    return [GroupView(paper, papers[paper], False) for paper in sorted(papers)]


def _group_by_time(views: Sequence[RecipeView], folds: bool) -> list[GroupView]:
    bands: dict[str, list[RecipeView]] = {}
    # Recipes of equal cost stay in the order of their names, those with a picture first.
    for view in sorted(views, key=lambda view: (_cost_of(view), view.look is None)):
        bands.setdefault(name_band(view.seconds), []).append(view)
    return [
        GroupView(band, members, folds and _cost_of(members[0]) > FOLDED_AFTER) for band, members in bands.items()
    ]


def _cost_of(view: RecipeView) -> float:
    return math.inf if view.seconds is None else view.seconds


def _build_recipe(name: str, spec: Mapping[str, Any]) -> RecipeView:
    facts, dataset = spec.get("recipe") or {}, spec.get("dataset", "")
    section, cost = str(facts.get("section", "")), str(facts.get("cost", ""))
    match = COST.search(cost)
    return RecipeView(
        name=name,
        href=f"/new?{urlencode({'recipe': name})}",
        description=str(spec.get("description", "")),
        dataset=str(dataset.get("name", "")) if isinstance(dataset, Mapping) else str(dataset),
        tags=frozenset(map(str, spec.get("tags") or ())),
        paper=str(facts.get("paper", "")),
        place=f"section {section}" if section[:1].isdigit() else section,
        expected=str(facts.get("expected", "")),
        cost=cost,
        time=f"{match['number']} {match['unit']}" if match else "",
        with_gpu="GPU" in cost,
        seconds=read_seconds(cost),
        look=read_looks().get(name),
    )


@cache
def read_looks() -> dict[str, Look]:
    """Return the place of each recipe's picture in the sheet of all of them."""
    places: dict[str, list[int]] = json.loads(_LOOKS.read_text(encoding="utf-8"))
    return {name: Look(*place) for name, place in places.items()}


@cache
def read_sheet() -> tuple[int, int]:
    """Return width and height of the sheet of all pictures, in pixels."""
    return check_png_header(_LOOKS.with_suffix(".png").read_bytes())


@cache
def read_texts() -> dict[str, str]:
    """Return the recipes' texts by file name."""
    return recipes.read_texts()


@cache
def read_recipes() -> dict[str, dict[str, Any]]:
    """Return the specs of all recipes, unchecked, by name."""
    return {file.removesuffix(".yaml"): read_spec_text(text, file) for file, text in read_texts().items()}
