"""The recipes that a run can be started from, by the paper whose experiment each repeats or by what they cost."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args
from urllib.parse import urlencode

import yaml

import recipes
from dashboard.runs.view import LinkView
from dashboard.web.layout import Frame

_COST = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>s|min|h)\b")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
# Up to how many seconds each group reaches; what says no time at all comes last.
BANDS = (
    (90.0, "Up to a minute and a half"),
    (300.0, "Up to 5 minutes"),
    (900.0, "Up to a quarter of an hour"),
    (3600.0, "Up to an hour"),
    (4 * 3600.0, "Up to 4 hours"),
    (math.inf, "Longer: for a GPU, or a few nights"),
)
UNKNOWN = "Not known"


def read_seconds(cost: str) -> float | None:
    """Return the time in a recipe's cost, as in "about 1.5 min for 2,000 iterations on one CPU core", or None."""
    found = _COST.search(cost)
    return float(found["number"]) * _SECONDS[found["unit"]] if found else None


def name_band(seconds: float | None) -> str:
    """Return the heading below which a recipe of this cost stands."""
    return UNKNOWN if seconds is None else next(name for most, name in BANDS if seconds <= most)


FIRST = "first-light"
Order = Literal["paper", "time"]
ORDERS: dict[Order, str] = {"paper": "By paper", "time": "Quickest first"}


@dataclass(frozen=True)
class RecipeView:
    """A recipe: where it was published, what comes of it, what it costs (in seconds too, where they are known)."""

    name: str
    href: str
    description: str
    dataset: str
    paper: str
    section: str
    expected: str
    cost: str
    seconds: float | None


@dataclass(frozen=True)
class GroupView:
    """The recipes of one paper, or those that cost about the same."""

    heading: str
    recipes: list[RecipeView]


@dataclass(frozen=True)
class NewRunPage:
    """Where a run may begin; `first` is for those who have never started one, `datasets` narrow the rest."""

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
    views = {name: _recipe(name, spec) for name, spec in recipes.items()}
    counts = Counter(view.dataset for view in views.values())
    dataset = dataset if dataset in counts else ""
    chosen: Order = next((known for known in get_args(Order) if known == order), "paper")
    shown = [view for view in views.values() if view.dataset == dataset or not dataset]
    datasets = [
        LinkView(f"{name or 'All'} {count}", _href(name, chosen), name == dataset)
        for name, count in [("", len(views)), *counts.most_common()]
    ]
    orders = [LinkView(text, _href(dataset, known), known == chosen) for known, text in ORDERS.items()]
    groups = _group_by_time(shown) if chosen == "time" else _group_by_paper(shown)
    return NewRunPage("New run", frame, views.get(FIRST), datasets, orders, chosen, groups)


def _href(dataset: str, order: Order) -> str:
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
    # The order of equals is that of the names.
    for view in sorted(views, key=lambda view: math.inf if view.seconds is None else view.seconds):
        bands.setdefault(name_band(view.seconds), []).append(view)
    return [GroupView(band, found) for band, found in bands.items()]


def _recipe(name: str, spec: Mapping[str, Any]) -> RecipeView:
    facts, dataset = spec.get("recipe") or {}, spec.get("dataset", "")
    section, cost = str(facts.get("section", "")), str(facts.get("cost", ""))
    return RecipeView(
        name=name,
        href=f"/new?{urlencode({'recipe': name})}",
        description=str(spec.get("description", "")),
        dataset=str(dataset.get("name", "")) if isinstance(dataset, Mapping) else str(dataset),
        paper=str(facts.get("paper", "")),
        section=f"section {section}" if section[:1].isdigit() else section,
        expected=str(facts.get("expected", "")),
        cost=cost,
        seconds=read_seconds(cost),
    )


# Fifty files take the reader that is written in C a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def read_texts() -> dict[str, str]:
    """Return the recipes' texts by file name."""
    return recipes.read_texts()


@cache
def read_recipes() -> dict[str, dict[str, Any]]:
    """Return the specs of all recipes, unchecked, by name."""
    return {
        file.removesuffix(".yaml"): yaml.load(text, _LOADER)  # noqa: S506 (a SafeLoader)
        for file, text in read_texts().items()
    }
