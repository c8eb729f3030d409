"""`ganvas list`: runs as a table for people, or for other programs."""

from typing import Any, Literal, get_args

import click

from api.events.findings.schemas import VerdictTone
from api.jobs.schemas import JobSummary
from api.server.http.schemas import JobState, Page
from ganvas.commands.options import complete_fields, json_option, open_client, print_json, url_option
from ganvas.commands.tables import Cell, render_table, show_state, show_verdict
from ganvas.progress import human_age, human_duration, human_losses, human_progress

# The orders whose values the table shows anyway.
_SHOWN_SORTS = ("created_at", "name", "state", "iteration", "iterations")
_ROWS = 20


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
    with open_client(url) as client:
        if form is not None:
            if as_json or cursor:
                raise click.UsageError(f"--{form} goes neither with --json nor with --cursor.")
            for part in client.stream_table(form, sort=order, limit=limit, **filters):
                click.echo(part, nl=False)
            return
        if limit is not None and limit > 200:
            raise click.UsageError("--limit goes up to 200; --csv and --jsonl print any number.")
        page = client.list_page(sort=order, limit=limit or _ROWS, cursor=cursor, **filters)
    if as_json:
        print_json(page)
        return
    if not page.items:
        click.echo(explain_empty(page.note, is_filtered=any(filters.values())))
        return
    click.echo(render_list(page, order.removeprefix("-")))
    for job in page.items:
        if job.obstacle:
            click.echo(f"{job.id} waits: {job.obstacle}")
    if page.next:
        click.echo(f"… more: ganvas list --limit {limit or _ROWS} --cursor {page.next}")


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


def render_sorted(job: JobSummary, column: str) -> str:
    """Return the job's value in the column that the table is sorted by."""
    if column in job.latest:
        return f"{job.latest[column].value:.6g}"
    if column == "duration" and isinstance(job.sorted_by, float | int):
        return human_duration(job.sorted_by)
    if isinstance(job.sorted_by, float):
        return f"{job.sorted_by:.6g}"
    return "–" if job.sorted_by is None else str(job.sorted_by)
