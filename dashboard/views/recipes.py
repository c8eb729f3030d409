"""The recipes that a run can be started from, by the paper whose experiment each repeats."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dashboard.views.common import Frame

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
    """Where a run may begin; `first` is for those who have never started one."""

    title: str
    frame: Frame
    first: RecipeView | None
    papers: list[PaperView]


def build_new_run_page(recipes: Mapping[str, Mapping[str, Any]], frame: Frame) -> NewRunPage:
    """Return the page of all recipes; `recipes` are their specs, unchecked, by name."""
    papers: dict[str, list[RecipeView]] = {}
    for name, spec in recipes.items():
        papers.setdefault((spec.get("recipe") or {}).get("paper", "Others"), []).append(_recipe(name, spec))
    first = _recipe(FIRST, recipes[FIRST]) if FIRST in recipes else None
    return NewRunPage("New run", frame, first, [PaperView(paper, papers[paper]) for paper in sorted(papers)])


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
