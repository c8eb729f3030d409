"""Compared runs in groups: each group is one line, the mean of its runs, in a band of their standard deviation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from sqlalchemy.orm import Session

from api.curves.folding import FoldedCurve, find_mean, fold_curves, read_points
from api.errors import RequestInvalid
from api.jobs.tables.groups import SAME_SPEC, read_value, resolve_group
from api.server.database.models import Job
from dashboard.charts.chart import Line
from dashboard.charts.references import find_dataset, find_real
from dashboard.compare.axis import find_batch_size
from dashboard.compare.curves import POINTS
from ganlib.spec.documents.differences import show_value
from ganlib.vocabulary import find_metric

# Runs that are averaged, where so many are compared by groups.
MOST_FOLDED = 50


@dataclass(frozen=True)
class Group:
    """Runs with the same values, a number for its colour, and its mean curves with their values at the cursor.

    scale: length of an iteration on the axis. dataset: whose real images its metrics are compared with.
    """

    number: int
    title: str
    runs: Sequence[str]
    scale: int
    dataset: str
    curves: Mapping[str, FoldedCurve]
    values: Mapping[str, float | None]


def sort_by_group(jobs: Sequence[Job], by: Sequence[str]) -> tuple[list[tuple[str, list[Job]]], str]:
    """Return the jobs by group, each with its title, in the order in which groups are named; and what is wrong."""
    try:
        ways = [resolve_group(path) for path in by]
    except RequestInvalid as error:
        return [], error.text
    found: dict[str, tuple[str, list[Job]]] = {}
    for job in jobs:
        values = [read_value(job.spec, way) for way in ways]
        title = ", ".join(
            job.name if path == SAME_SPEC else show_value(value) for path, value in zip(by, values, strict=True)
        )
        found.setdefault(json.dumps(values, sort_keys=True), (title, []))[1].append(job)
    return list(found.values()), ""


def choose_shown(groups: Sequence[tuple[str, Sequence[Job]]], most: int) -> list[Job]:
    """Return some jobs of each group, equally many as far as they go, in the order of the groups."""
    turns = chain.from_iterable(zip_longest(*(jobs for _, jobs in groups)))
    chosen = {job.id for job in [job for job in turns if job is not None][:most]}
    return [job for _, jobs in groups for job in jobs if job.id in chosen]


def explain_unfoldable(groups: Sequence[tuple[str, Sequence[Job]]], axis: str) -> str:
    """Return why runs cannot be averaged along this axis, or nothing."""
    if axis == "time":
        return "By time runs are drawn one by one: their iterations do not fall on the same moments."
    sizes = [{find_batch_size(job.origin, job.spec) for job in jobs} for _, jobs in groups]
    if axis == "images" and any(len(some) > 1 for some in sizes):
        return "By images seen these runs are drawn one by one: within a group their batches differ in size."
    return ""


def read_groups(
    session: Session,
    groups: Sequence[tuple[str, Sequence[Job]]],
    axis: str,
    names: Sequence[str],
    at: float | None,
) -> list[Group]:
    """Read the groups' mean curves of these metrics. at: the place on the axis at which values are shown."""
    read = []
    for number, (title, jobs) in enumerate(groups, 1):
        points, _ = read_points(session, [job.id for job in jobs], names)
        scale = (find_batch_size(jobs[0].origin, jobs[0].spec) or 1) if axis == "images" else 1
        until = None if at is None else int(at / scale)
        curves = {name: fold_curves(name, some, POINTS) for name, some in points.items()}
        values = {name: find_mean(some, until) for name, some in points.items()}
        dataset = find_dataset(jobs[0].spec)
        read.append(Group(number, title, [job.id for job in jobs], scale, dataset, curves, values))
    return read


def build_lines(groups: Sequence[Group], metric: str) -> list[Line]:
    """Return a line for each group that has the metric."""
    return [_line(group, group.curves[metric]) for group in groups if metric in group.curves]


def _line(group: Group, curve: FoldedCurve) -> Line:
    count = len(group.runs)
    return Line(
        metric=curve.name,
        word=f"mean of {count} runs" if count > 1 else "one run",
        style=f"run-{group.number} dash-{group.number}",
        positions=[float(point.iteration * group.scale) for point in curve.points],
        values=[point.mean for point in curve.points],
        value=group.values[curve.name],
        run=f"{group.number} {group.title}",
        url=f"/job-groups/{','.join(group.runs)}/metrics",
        scale=str(group.scale),
        real=find_real(find_metric(curve.name), group.dataset),
        edges=([point.low for point in curve.points], [point.high for point in curve.points]),
    )
