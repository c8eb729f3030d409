"""The page of faults: what each is, how it is found, what papers did about it, and a run that shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from api.events.findings.schemas import VerdictRead
from api.jobs.schemas import JobSummary
from dashboard.web.formats import show_count
from dashboard.web.layout import Frame, find_verdict, search_href
from ganlib.evaluation.diagnosis.advice import Advice, advise
from ganlib.evaluation.diagnosis.rule import Rule

SEVERITY_WORDS = {"serious": "Serious", "warning": "Warning", "note": "Note"}


@dataclass(frozen=True)
class RunView:
    """A run of the recipe that shows the fault, with its newest grid, if it has one."""

    name: str
    href: str
    verdict: VerdictRead | None
    url: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class FaultView:
    """One fault. recipe_href: the form with a recipe that shows it, empty where there is none; cost: of that.

    found_href: the runs in which it was found.
    """

    name: str
    title: str
    tone: str
    severity: str
    meaning: str
    threshold: str
    window: str
    advice: list[Advice]
    recipe: str
    recipe_href: str
    cost: str
    run: RunView | None
    found_href: str


@dataclass(frozen=True)
class FaultsPage:
    """Every fault that a rule of this version looks for."""

    title: str
    frame: Frame
    faults: list[FaultView]


def name_recipe(rule: str) -> str:
    """Return the name of the recipe that shows a rule's fault, and of its runs: fault-mode-collapse."""
    return f"fault-{rule.replace('_', '-')}"


def build_faults_page(
    rules: Mapping[str, Rule],
    recipes: Mapping[str, Mapping[str, Any]],
    specs: Mapping[str, Mapping[str, Any]],
    runs: Mapping[str, JobSummary],
    frame: Frame,
) -> FaultsPage:
    """Return the page. recipes: as they are written, by name. specs: the whole spec to advise on, by rule.

    runs: the newest run of each recipe, by the recipe's name.
    """
    faults = [_build_fault(rule, recipes, specs[name], runs) for name, rule in rules.items()]
    return FaultsPage("What can go wrong", frame, faults)


def _build_fault(
    rule: Rule, recipes: Mapping[str, Mapping[str, Any]], spec: Mapping[str, Any], runs: Mapping[str, JobSummary]
) -> FaultView:
    name = name_recipe(rule.name)
    recipe = recipes.get(name)
    run = runs.get(name)
    return FaultView(
        name=rule.name,
        title=rule.title,
        tone=rule.severity,
        severity=SEVERITY_WORDS[rule.severity],
        meaning=rule.meaning,
        threshold=f"{rule.threshold[:1].upper()}{rule.threshold[1:].rstrip('.')}.",
        window=f"{rule.window} measurements in a row must show it, and as many no longer."
        if rule.window > 1
        else "",
        advice=advise(rule.remedies, spec),
        recipe=name if recipe else "",
        recipe_href=f"/new?{urlencode({'recipe': name})}" if recipe else "",
        cost=str((recipe.get("recipe") or {}).get("cost", "")) if recipe else "",
        run=_build_run(run) if run else None,
        found_href=search_href(f"finding:{rule.name}"),
    )


def _build_run(job: JobSummary) -> RunView:
    sample = job.newest_sample
    return RunView(
        name=job.name,
        href=f"/runs/{job.id}",
        verdict=find_verdict(job),
        url=sample.url if sample else "",
        alt=f"Samples of {job.name} at iteration {show_count(sample.iteration)}" if sample else "",
        width=sample.columns * sample.cell_width if sample else 0,
        height=sample.rows * sample.cell_height if sample else 0,
    )
