"""`ganvas list`: runs as a table for people, or for other programs."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import click

from api.events.findings.schemas import VerdictTone
from api.jobs.schemas import Average, GroupRead, GroupsRead, JobPage, JobSummary
from api.server.http.schemas import JobState, Page
from ganlib.spec.documents.differences import show_value
from ganlib.vocabulary import find_metric
from ganvas.commands.options import complete_fields, json_option, open_client, print_json, url_option
from ganvas.commands.tables import Cell, render_table, show_state, show_verdict
from ganvas.progress import human_age, human_duration, human_losses, human_progress

# The orders whose values the table shows anyway.
_SHOWN_SORTS = ("created_at", "name", "state", "iteration", "iterations")
_ROWS = 20
# Groups of which it is said in what else their runs differ.
_MOST_MIXED = 3


@click.command()
@click.argument("search", metavar="[SEARCH]...", nargs=-1)
@click.option("--state", type=click.Choice(get_args(JobState)), help="Only runs in this state.")
@click.option("--name", help="Only runs whose name holds this text.")
@click.option("--tag", help="Only runs with this tag.")
@click.option("--recipe", help="Only runs that repeat a paper whose name holds this text.")
@click.option("--verdict", type=click.Choice(get_args(VerdictTone)), help="Only runs that are judged so.")
@click.option("--finding", metavar="RULE", help="Only runs in which this was found: mode_collapse.")
@click.option(
    "--where",
    metavar="COMPARISON",
    multiple=True,
    shell_complete=complete_fields(),
    help="Only runs for which this holds, of the spec or of a metric's newest value (repeatable): "
    "losses.generator=hinge, techniques.technique=feature_matching, 'eval/fid<30'.",
)
@click.option(
    "--sort",
    shell_complete=complete_fields(),
    help="By a column, `duration`, a metric or a field of the spec; `-` in front turns it round.",
)
@click.option(
    "--group",
    "by",
    metavar="FIELD",
    multiple=True,
    shell_complete=complete_fields(),
    help="Print groups of runs with means ± standard deviations between them: by a field of the spec (up to three "
    "of them), or `spec` for runs that differ in no more than name, tags, queue and seed.",
)
@click.option(
    "--metric",
    "metrics",
    metavar="METRIC",
    multiple=True,
    shell_complete=complete_fields(),
    help="With --group: also average this metric's newest values (repeatable).",
)
@click.option("--limit", type=click.IntRange(1), help=f"How many; {_ROWS} without it, all of them in a file.")
@click.option("--cursor", help="Go on where an earlier list ended (its `next`).")
@click.option("--csv", "form", flag_value="csv", help="Print a CSV with every field and metric, for spreadsheets.")
@click.option("--jsonl", "form", flag_value="jsonl", help="Print the same as JSON lines, for programs.")
@url_option
@json_option
def list_command(
    search: tuple[str, ...],
    state: JobState | None,
    name: str | None,
    tag: str | None,
    recipe: str | None,
    verdict: VerdictTone | None,
    finding: str | None,
    where: tuple[str, ...],
    sort: str | None,
    by: tuple[str, ...],
    metrics: tuple[str, ...],
    limit: int | None,
    cursor: str | None,
    form: Literal["csv", "jsonl"] | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List runs, newest first unless sorted otherwise.

    SEARCH is what the dashboard's search box takes: mnist tag:good state:failed 'eval/fid<30'.
    """
    filters: dict[str, Any] = {
        "state": state, "name": name, "tag": tag, "recipe": recipe, "verdict": verdict, "finding": finding,
        "where": where, "q": " ".join(search) or None,
    }  # fmt: skip
    order = sort or "-created_at"
    _check_options(by, metrics, others=(sort, limit, cursor, form))
    with open_client(url) as client:
        if by:
            _print_groups(client.list_groups(*by, metrics=metrics, **filters), as_json, any(filters.values()))
            return
        if form is not None:
            if as_json or cursor:
                raise click.UsageError(f"--{form} goes neither with --json nor with --cursor.")
            for part in client.stream_table(form, sort=order, limit=limit, **filters):
                click.echo(part, nl=False)
            return
        if limit is not None and limit > 200:
            raise click.UsageError("--limit goes up to 200; --csv and --jsonl print any number.")
        page = client.list_page(sort=order, limit=limit or _ROWS, cursor=cursor, **filters)
    _print_list(page, order, as_json, any(filters.values()))
    if page.next and not as_json:
        click.echo(f"… more: ganvas list --limit {limit or _ROWS} --cursor {page.next}")


def _print_list(page: JobPage, order: str, as_json: bool, is_filtered: bool) -> None:
    if as_json:
        print_json(page)
        return
    if not page.items:
        click.echo(explain_empty(page.note, is_filtered=is_filtered))
        return
    click.echo(render_list(page, order.removeprefix("-")))
    for job in page.items:
        if job.obstacle:
            click.echo(f"{job.id} waits: {job.obstacle}")


def _check_options(by: Sequence[str], metrics: Sequence[str], others: Sequence[Any]) -> None:
    if metrics and not by:
        raise click.UsageError("--metric goes with --group: a list of runs takes --sort METRIC, or --csv.")
    if by and any(others):
        raise click.UsageError("--group goes with filters, --metric and --json alone.")


def _print_groups(found: GroupsRead, as_json: bool, is_filtered: bool) -> None:
    if as_json:
        print_json(found)
        return
    click.echo(render_groups(found) if found.groups else explain_empty(is_filtered=is_filtered))
    for note in found.notes:
        click.echo(note)


def explain_empty(note: str | None = None, *, is_filtered: bool) -> str:
    """Return what to do where there is nothing to list. note: why the search finds nothing, if that is known."""
    if is_filtered:
        return f"{note or 'No such job.'} `ganvas list` without filters lists all."
    return (
        "No jobs yet. Submit one: ganvas submit recipes/winkler-mnist.yaml\n"
        'Or write one from your own loop: run = ganvas.init("my gan")'
    )


def render_list(page: Page[JobSummary], column: str) -> str:
    """Return the table, with the column that it is sorted by where that is no usual one."""
    is_extra = column not in _SHOWN_SORTS
    headings = ["id", "state", "iterations", "verdict", "losses", "age", *([column] if is_extra else []), "name"]
    rows: list[list[Cell | str]] = [
        [
            job.id,
            show_state(job.state),
            human_progress(job),
            show_verdict(job.verdict),
            human_losses(job),
            human_age(job.created_at),
            *([render_sorted(job, column)] if is_extra else []),
            Cell(job.name, bold=True),
        ]
        for job in page.items
    ]
    return render_table(headings, rows, right=("iterations", "age", column) if is_extra else ("iterations", "age"))


def render_groups(found: GroupsRead) -> str:
    """Return the groups as a table: how many runs each has, in which states, how they are, and means over them."""
    metrics = list(dict.fromkeys(each.metric for group in found.groups for each in group.metrics))
    headings = [*found.by, "runs", "seeds", "states", "health", "best score", *metrics]
    rows: list[list[Cell | str]] = []
    for group in found.groups:
        averages = {each.metric: each for each in group.metrics}
        score = group.score and f"{show_average(group.score)} {find_metric(group.score.metric).label}"
        rows.append([
            *(_show_values(group, found.by)),
            f"{len(group.jobs)}",
            f"{group.seeds}",
            _count_words(group.states),
            _count_words(group.verdicts),
            score or "–",
            *(show_average(averages[name]) if name in averages else "–" for name in metrics),
        ])  # fmt: skip
    lines = [render_table(headings, rows, right=("runs", "seeds"))]
    mixed = [group for group in found.groups if group.differing]
    lines += [
        f"{group.title}: its runs differ in {', '.join(group.differing)} too, not in their seeds alone."
        for group in mixed[:_MOST_MIXED]
    ]
    if len(mixed) > _MOST_MIXED:
        lines.append(f"… so do those of {len(mixed) - _MOST_MIXED} more groups.")
    return "\n".join(lines)


def show_average(average: Average) -> str:
    """Return a mean with its deviation and the number of runs: 12.3 ± 0.8 (n 3)."""
    deviation = "" if average.deviation is None else f" ± {average.deviation:.2g}"
    return f"{average.mean:.4g}{deviation} (n {average.count})"


def _show_values(group: GroupRead, by: Sequence[str]) -> list[Cell | str]:
    # The title of a group of one spec says what its value, a name that nobody knows, stands for.
    return [
        Cell(group.title if path == "spec" else show_value(value), bold=True)
        for path, value in zip(by, group.values, strict=True)
    ]


def _count_words(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def render_sorted(job: JobSummary, column: str) -> str:
    """Return the job's value in the column that the table is sorted by."""
    if column in job.latest:
        return f"{job.latest[column].value:.6g}"
    if column == "duration" and isinstance(job.sorted_by, float | int):
        return human_duration(job.sorted_by)
    if isinstance(job.sorted_by, float):
        return f"{job.sorted_by:.6g}"
    return "–" if job.sorted_by is None else str(job.sorted_by)
