"""`ganvas diff`: what two runs differ in, and their metrics side by side."""

import math
from collections.abc import Sequence
from typing import Any

import click

from api.jobs.schemas import JobRead
from dashboard.web.specs import compare_specs
from ganlib.runtime.terminal import strip_controls
from ganlib.spec.documents.differences import read_field
from ganlib.vocabulary import METRICS, Metric, find_metric
from ganvas.commands.options import RunType, json_option, open_client, print_json, url_option
from ganvas.commands.tables import Cell, cut, render_table, show_state, show_verdict
from ganvas.progress import human_progress

_WIDEST = 40


@click.command()
@click.argument("first", metavar="A", type=RunType())
@click.argument("second", metavar="B", type=RunType())
@url_option
@json_option
def diff_command(first: str, second: str, url: str | None, as_json: bool) -> None:
    """Say what runs A and B differ in, and put their newest metrics side by side."""
    with open_client(url) as client:
        jobs = (client.get(first), client.get(second))
        address = client.page_url("x").removesuffix("/runs/x")
    if as_json:
        print_json(describe(*jobs))
        return
    click.echo(render_runs(*jobs))
    click.echo(f"\n{render_fields(*jobs)}")
    click.echo(f"\n{render_metrics(*jobs)}")
    click.echo(f"\ntheir images: {address}/compare?run={jobs[0].id}&run={jobs[1].id}")


def describe(first: JobRead, second: JobRead) -> dict[str, Any]:
    """Return the comparison as a document: fields that differ, and every newest metric, each as [A's, B's]."""
    rows = compare_specs([first.spec, second.spec]).rows
    return {
        "runs": [{"id": job.id, "name": job.name, "state": job.state} for job in (first, second)],
        "fields": {row.path: row.values for row in rows},
        "metrics": {
            name: [_as_json(_value(job, name)) for job in (first, second)] for name in _metrics(first, second)
        },
        "iterations": [job.iteration for job in (first, second)],
        "better": {
            name: choose_better(find_metric(name), first, second) or None for name in _metrics(first, second)
        },
    }


def _as_json(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def render_runs(first: JobRead, second: JobRead) -> str:
    """Return a line on each of the two."""
    rows: list[list[Cell | str]] = [
        [
            Cell(letter, bold=True), job.id, strip_controls(job.name), show_state(job.state), human_progress(job),
            show_verdict(job.verdict), (job.commit or "–")[:10],
        ]
        for letter, job in (("A", first), ("B", second))
    ]  # fmt: skip
    return render_table(
        ["", "id", "name", "state", "iterations", "verdict", "commit"], rows, right=("iterations",)
    )


def render_fields(first: JobRead, second: JobRead) -> str:
    """Return the fields of specs or configs that differ, in words."""
    difference = compare_specs([first.spec, second.spec])
    if not difference.rows:
        return "Their specs are the same, but for their names."
    rows: list[list[Cell | str]] = []
    for row in difference.rows:
        values = [read_field(job.spec, row.path) for job in (first, second)]
        shown = [cut(strip_controls(", ".join(value.splitlines())), _WIDEST) for value in row.values]
        words = "" if row.path.endswith("seed") else say_change(*values)
        rows.append([row.path, *shown, words])
    table = render_table(["field", "A", "B", "in words"], rows)
    return f"{table}\n{difference.more}" if difference.more else table


def say_change(before: Any, after: Any) -> str:
    """Return how the second differs from the first, empty where both values say it all."""
    if before is None or after is None:
        return "only in B" if before is None else "only in A"
    if isinstance(before, list) and isinstance(after, list):
        more = len(after) - len(before)
        return f"B has {abs(more)} {'more' if more > 0 else 'fewer'}" if more else ""
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in (before, after)]
    if not all(numbers) or before <= 0 or after <= 0:
        return ""
    return f"B's is {_times(after / before)}"


def _times(ratio: float) -> str:
    if ratio < 1:
        return "half" if ratio == 0.5 else f"1/{1 / ratio:.3g}"
    return "double" if ratio == 2 else f"{ratio:.3g} times as much"


def _metrics(first: JobRead, second: JobRead) -> list[str]:
    names = {*first.latest, *second.latest}
    return sorted(names, key=lambda name: (not find_metric(name).better, name))


def _value(job: JobRead, name: str) -> float | None:
    return job.latest[name].value if name in job.latest else None


def render_metrics(first: JobRead, second: JobRead) -> str:
    """Return the newest metrics side by side, those that say which run is better at the top."""
    names = _metrics(first, second)
    if not names:
        return "Neither has logged a metric."
    rows: list[list[Cell | str]] = []
    for name in names:
        values = (_value(first, name), _value(second, name))
        better = choose_better(find_metric(name), first, second)
        rows.append(
            [
                strip_controls(name),
                *(
                    Cell("–" if value is None else f"{value:.6g}", "green" if letter == better else None)
                    for letter, value in zip("AB", values, strict=True)
                ),
                say_metric(name, first, second),
            ]
        )
    table = render_table(["metric", "A", "B", "in words"], rows, right=("A", "B"))
    return "\n".join([table, *_say_ends(first, second)])


def say_metric(name: str, first: JobRead, second: JobRead) -> str:
    """Return what a metric says of the two: which is better, or how far they lie apart, or why neither is said."""
    metric = find_metric(name)
    values = [_value(job, name) for job in (first, second)]
    if None in values:
        return "only in B" if values[0] is None else "only in A"
    ends = [job.latest[name].iteration for job in (first, second)]
    at = "" if ends[0] == ends[1] else f" (A at iteration {ends[0]:,}, B at {ends[1]:,})"
    if better := choose_better(metric, first, second):
        return f"{better} is better: {metric.better}{at}"
    if values[0] == values[1]:
        return f"the same{at}"
    if metric.better and metric.answer and not share_judge((first, second)):
        return f"not comparable: other data or another judge{at}"
    if not all(map(math.isfinite, values)):  # type: ignore[arg-type]
        return f"not finite{at}"
    words = say_change(*values) or f"B's is {'more' if values[1] > values[0] else 'less'}"  # type: ignore[operator]
    return f"{words}; neither way is better{at}" if metric in METRICS and not metric.better else f"{words}{at}"


def _say_ends(first: JobRead, second: JobRead) -> list[str]:
    if first.iteration == second.iteration:
        return []
    return [
        f"A is at iteration {first.iteration:,}, B at {second.iteration:,}: "
        "compare newest values with care, or their curves at one iteration."
    ]


def choose_better(metric: Metric, first: JobRead, second: JobRead) -> str:
    """Return A or B, or nothing where neither way is better or where both were not judged by the same judge."""
    values = [_value(job, metric.name) for job in (first, second)]
    if not metric.better or None in values or values[0] == values[1] or not all(map(math.isfinite, values)):  # type: ignore[arg-type]
        return ""
    if metric.answer and not share_judge((first, second)):
        return ""
    is_less = values[1] < values[0]  # type: ignore[operator]
    return "B" if is_less == (metric.better == "lower") else "A"


def share_judge(jobs: Sequence[JobRead]) -> bool:
    """Return whether the runs were judged alike, on the same data, so that figures of a judge compare."""
    first, *others = ([job.spec.get(part) for part in ("dataset", "evaluation")] for job in jobs)
    return all(judge == first for judge in others)
