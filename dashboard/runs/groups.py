"""Runs in groups of equal fields: how many there are, how they are, and their means over seeds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args
from urllib.parse import urlencode

from api.events.findings.schemas import VerdictTone
from api.jobs.schemas import Average, GroupRead, GroupsRead
from api.jobs.tables.groups import SAME_SPEC
from api.server.http.schemas import JobState
from dashboard.runs.columns import Column, Listing
from dashboard.web.formats import show_count, show_exact, show_number
from dashboard.web.layout import STATE_WORDS, LinkView
from ganlib.spec.documents.differences import show_value
from ganlib.vocabulary import Metric, find_metric

# Runs that a comparison of groups draws, and so many of each group that all groups have a part in it.
MOST_DRAWN = 50
# Runs of a group that are named.
MOST_NAMED = 100
_TONES: tuple[VerdictTone, ...] = ("serious", "warning", "note", "good", "unknown")


@dataclass(frozen=True)
class AverageView:
    """A mean and its deviation, how many runs it is of, and every digit; metric: what is averaged."""

    metric: Metric
    mean: str
    deviation: str
    count: str
    exact: str


@dataclass(frozen=True)
class CountView:
    """How many runs of a group are like this, and what that is called; kind: a state, or a verdict's tone."""

    kind: str
    word: str
    count: str


@dataclass(frozen=True)
class GroupView:
    """A group of runs. href: of a search that finds these runs, empty where there is none."""

    values: Sequence[str]
    title: str
    count: str
    href: str
    seeds: str
    states: Sequence[CountView]
    verdicts: Sequence[CountView]
    score: AverageView | None
    averages: Sequence[AverageView | None]
    differing: str
    runs: Sequence[LinkView]
    more_runs: str
    compare_href: str


@dataclass(frozen=True)
class GroupsView:
    """All groups. headings: of what they are grouped by; metrics: whose averages have a column."""

    headings: Sequence[str]
    metrics: Sequence[Metric]
    groups: Sequence[GroupView]
    notes: Sequence[str]
    compare_href: str


def list_metrics(columns: Sequence[Column]) -> list[str]:
    """Return the metrics among the columns that a reader chose: these are averaged."""
    return [column.key for column in columns if column.kind == "metric"]


def build_groups(found: GroupsRead, listing: Listing, metrics: Sequence[str]) -> GroupsView:
    """Return the groups; metrics: whose averages were asked for."""
    return GroupsView(
        headings=["Runs of one spec" if path == SAME_SPEC else path for path in found.by],
        metrics=[find_metric(name) for name in metrics],
        groups=[_build(group, listing, found.by, metrics) for group in found.groups],
        notes=found.notes,
        compare_href=_compare_href(found.groups, found.by),
    )


def _build(group: GroupRead, listing: Listing, by: Sequence[str], metrics: Sequence[str]) -> GroupView:
    averages = {each.metric: each for each in group.metrics}
    runs = group.jobs[:MOST_NAMED]
    more = len(group.jobs) - len(runs)
    return GroupView(
        values=[
            group.title if path == SAME_SPEC else show_value(value)
            for path, value in zip(by, group.values, strict=True)
        ],
        title=group.title,
        count=show_count(len(group.jobs)),
        href=_find_runs(listing, by, group.values),
        seeds=show_count(group.seeds),
        states=_count(group.states, {state: STATE_WORDS[state].lower() for state in get_args(JobState)}),
        verdicts=_count(group.verdicts, {tone: "not examined" if tone == "unknown" else tone for tone in _TONES}),
        score=_average(group.score) if group.score else None,
        averages=[_average(averages[name]) if name in averages else None for name in metrics],
        differing=", ".join(group.differing),
        runs=[LinkView(f"{job.name} ({job.id[:8]})", f"/runs/{job.id}", False) for job in runs],
        more_runs=f"and {show_count(more)} more" if more else "",
        compare_href=_compare_href([group], by),
    )


def _count(counts: Mapping[Any, int], words: Mapping[Any, str]) -> list[CountView]:
    return [CountView(kind, word, show_count(counts[kind])) for kind, word in words.items() if counts.get(kind)]


def _average(average: Average) -> AverageView:
    deviation = show_number(average.deviation, 2) if average.deviation is not None else ""
    of = f"mean of {average.count} run{'s' if average.count > 1 else ''}"
    spread = f", standard deviation {show_exact(average.deviation)}" if average.deviation is not None else ""
    return AverageView(
        find_metric(average.metric),
        show_number(average.mean),
        deviation,
        show_count(average.count),
        f"{of}: {show_exact(average.mean)}{spread}",
    )


def _find_runs(listing: Listing, by: Sequence[str], values: Sequence[Any]) -> str:
    """Return the address of the list of a group's runs; lists and what is not set cannot be searched for whole."""
    terms = []
    for path, value in zip(by, values, strict=True):
        if path == SAME_SPEC or value is None or isinstance(value, list | dict) or '"' in str(value):
            return ""
        text = json.dumps(value) if isinstance(value, bool | int | float) else str(value)
        terms.append(f'{path}="{text}"' if " " in text or not text else f"{path}={text}")
    return replace(listing, group=()).search(" ".join(filter(None, [listing.q, *terms]))).href()


def _compare_href(groups: Sequence[GroupRead], by: Sequence[str]) -> str:
    """Return the address of a comparison that draws each group as one band, empty for fewer than two runs."""
    begun = [[job.id for job in group.jobs if job.state != "queued"] for group in groups]
    drawn = [ids for ids in begun if ids][:MOST_DRAWN]
    each = max(1, MOST_DRAWN // max(1, len(drawn)))
    runs = [job_id for ids in drawn for job_id in ids[:each]]
    query = [*(("group", path) for path in by), *(("run", run) for run in runs)]
    return f"/compare?{urlencode(query)}" if len(runs) > 1 else ""
