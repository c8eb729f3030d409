"""What was found in a run: since when, by which numbers, what it means, and what to try; and its best grid."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from api.curves.best import JUDGES
from api.curves.schemas import Curve
from api.events.findings.schemas import AdviceRead, FindingAdvised, FindingRead
from api.jobs.schemas import JobRead
from dashboard.charts.marks import Span
from dashboard.web.formats import show_count, show_number
from dashboard.web.layout import Figure, figure_of
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.spec.documents.differences import show_value
from ganlib.vocabulary import Metric, find_metric


@dataclass(frozen=True)
class EvidenceView:
    """A number that shows the fault."""

    id: str
    metric: Metric
    value: Figure


@dataclass(frozen=True)
class AdviceView:
    """One thing to try, the changes of the spec in words, and the form that has them made."""

    title: str
    text: str
    source: str
    changes: list[str]
    href: str


@dataclass(frozen=True)
class FindingView:
    """One finding. tone: its severity. done: what the run itself did about it, or nothing.

    grid_href: the grid of the iteration that it began at. curve_href: the large chart with its numbers.
    """

    id: str
    title: str
    tone: str
    text: str
    is_lasting: bool
    evidence: list[EvidenceView]
    meaning: str
    done: str
    advice: list[AdviceView]
    since: str
    grid_href: str
    curve_href: str
    fault_href: str


def build_findings(job: JobRead) -> list[FindingView]:
    """Return the findings of a run in the order of the service: those that last first."""
    return [_build_finding(job, finding) for finding in job.findings]


def _build_finding(job: JobRead, finding: FindingAdvised) -> FindingView:
    anchor = name_finding(finding)
    shown = [("metric", name) for name in finding.evidence]
    return FindingView(
        id=anchor,
        title=finding.title,
        tone=finding.severity,
        text=finding.description,
        is_lasting=finding.ended is None,
        evidence=[
            EvidenceView(f"about-{anchor}-{number}", find_metric(name), figure_of(value))
            for number, (name, value) in enumerate(finding.evidence.items())
        ],
        meaning=finding.meaning,
        done=_say_done(finding),
        advice=[_build_advice(job.id, advice) for advice in finding.advice],
        since=show_count(finding.since),
        grid_href=_grid_href(job.id, finding.since),
        curve_href=f"/runs/{job.id}?{urlencode([*shown, ('iteration', finding.since)])}#chart" if shown else "",
        fault_href=f"/faults#{finding.rule}" if finding.rule in RULES else "",
    )


def _grid_href(job_id: str, iteration: int) -> str:
    return f"/runs/{job_id}?iteration={iteration}#timeline"


def name_finding(finding: FindingRead) -> str:
    """Return the finding's name on the page: a rule and an iteration are one finding."""
    return f"finding-{finding.rule}-{finding.since}"


def _say_done(finding: FindingRead) -> str:
    """Return what the run did about it, in a sentence; nothing where it only told."""
    if finding.action == "stop":
        return "The run was stopped for it, as its spec asks."
    if finding.action == "rollback" and finding.rolled_back_to is not None:
        changed = ", ".join(_show_change(path, value) for path, value in finding.changes.items())
        return (
            f"The run went back to iteration {show_count(finding.rolled_back_to)}, as its spec asks"
            f"{f', with {changed}' if changed else ''}."
        )
    return ""


def _build_advice(job_id: str, advice: AdviceRead) -> AdviceView:
    changes = [("set", f"{path}={json.dumps(value)}") for path, value in advice.changes.items()]
    return AdviceView(
        title=advice.title,
        text=advice.text,
        source=advice.source,
        changes=advice.words,
        href=f"/runs/{job_id}/again?{urlencode(changes)}",
    )


def _show_change(path: str, value: object) -> str:
    return f"{path}: {show_value(value)}"


def build_spans(findings: Sequence[FindingRead]) -> list[Span]:
    """Return the findings as stretches of the run's axis, each leading to what is said of it."""
    return [
        Span(each.rule, each.since, each.ended, each.severity, each.description, f"#{name_finding(each)}")
        for each in findings
    ]


@dataclass(frozen=True)
class BestView:
    """The iteration with the best value of what its run is judged by; `text` names both."""

    at: int
    iteration: str
    text: str
    href: str


def find_best(job_id: str, curves: Sequence[Curve]) -> BestView | None:
    """Return the best iteration of a run's curves, which hold every extreme; None where nothing judges them."""
    by_name = {curve.name: curve for curve in curves}
    for metric in JUDGES:
        curve = by_name.get(metric.name)
        points = [
            (value, iteration)
            for iteration, value in (zip(curve.iterations, curve.values, strict=True) if curve else ())
            if math.isfinite(value)
        ]
        if not points:
            continue
        sign = 1 if metric.better == "lower" else -1
        # The first of equally good ones.
        value, at = min(points, key=lambda point: (sign * point[0], point[1]))
        text = f"{metric.label} {show_number(value)}, the {'lowest' if sign > 0 else 'highest'}"
        return BestView(at, show_count(at), text, _grid_href(job_id, at))
    return None


def build_timeline_spans(job: JobRead, best: BestView | None) -> list[Span]:
    """Return the findings, and the best grid, as marks of the timeline, each leading to its first grid."""
    spans = [
        Span(each.rule, each.since, each.ended, each.severity, each.description, _grid_href(job.id, each.since))
        for each in job.findings
    ]
    if best is None:
        return spans
    text = f"Best iteration, {best.iteration}: {best.text}"
    return [Span("best", best.at, best.at, "best", text, best.href), *spans]
