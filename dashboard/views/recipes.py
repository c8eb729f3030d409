"""The recipes that a run can be started from, by the paper whose experiment each repeats."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dashboard.views.common import Frame
from dashboard.views.runs import LinkView

FIRST = "first-light"


@dataclass(frozen=True)
class RecipeView:
    """One recipe: what it is, where it was published, what comes of it, and what it costs."""

    name: str
    href: str
    description: str
    dataset: str
    section: str
    expected: str
    cost: str


@dataclass(frozen=True)
class PaperView:
    """The recipes of one paper."""

    paper: str
    recipes: list[RecipeView]


@dataclass(frozen=True)
class NewRunPage:
    """Where a run may begin; `first` is for those who have never started one, `datasets` narrow the rest."""

    title: str
    frame: Frame
    first: RecipeView | None
    datasets: list[LinkView]
    papers: list[PaperView]


def build_new_run_page(recipes: Mapping[str, Mapping[str, Any]], frame: Frame, dataset: str = "") -> NewRunPage:
    """Return the page of the recipes, of one data set or of all; `recipes` are their specs, unchecked, by name."""
    views = {name: _recipe(name, spec) for name, spec in recipes.items()}
    counts = Counter(view.dataset for view in views.values())
    dataset = dataset if dataset in counts else ""
    papers: dict[str, list[RecipeView]] = {}
    for name, spec in recipes.items():
        if views[name].dataset == dataset or not dataset:
            papers.setdefault((spec.get("recipe") or {}).get("paper", "Others"), []).append(views[name])
    datasets = [
        LinkView(
            f"{name or 'All'} {count}", f"/new?{urlencode({'data': name})}" if name else "/new", name == dataset
        )
        for name, count in [("", len(views)), *counts.most_common()]
    ]
    shown = [PaperView(paper, papers[paper]) for paper in sorted(papers)]
    return NewRunPage("New run", frame, views.get(FIRST), datasets, shown)


def _recipe(name: str, spec: Mapping[str, Any]) -> RecipeView:
    facts, dataset = spec.get("recipe") or {}, spec.get("dataset", "")
    section = str(facts.get("section", ""))
    return RecipeView(
        name=name,
        href=f"/new?{urlencode({'recipe': name})}",
        description=str(spec.get("description", "")),
        dataset=str(dataset.get("name", "")) if isinstance(dataset, Mapping) else str(dataset),
        section=f"section {section}" if section[:1].isdigit() else section,
        expected=str(facts.get("expected", "")),
        cost=str(facts.get("cost", "")),
    )
