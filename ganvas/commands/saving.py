"""What `ganvas figure` and `ganvas movie` share: which runs are meant, and where the file goes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from api.client import Client
from api.errors import JobNotFound
from api.schemas import JobSummary
from ganvas.commands.options import open_client

Command = Callable[..., Any]
Query = list[tuple[str, str]]
MAX_NAMED = 5


def out_options(command: Command) -> Command:
    """Add --out and --force."""
    command = click.option("--force", is_flag=True, help="Replace the file if there is one.")(command)
    return click.option(
        "--out", "-o", required=True, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
        help="Where it goes; the ending says the form.",
    )(command)  # fmt: skip


def cell_options(command: Command) -> Command:
    """Add --rows, --columns and --cells."""
    for option in (
        click.option("--cells", metavar="R-C,…", help="These cells alone, counted from 1: 1-1,3-2."),
        click.option("--columns", type=click.IntRange(1), help="Only the first so many columns of cells."),
        click.option("--rows", type=click.IntRange(1), help="Only the first so many rows of cells."),
    ):
        command = option(command)
    return command


def read_form(path: Path, forms: Sequence[str]) -> str:
    """Return the form that the file's ending names; raises a usage error for another one."""
    form = path.suffix.lower().lstrip(".")
    if form not in forms:
        raise click.UsageError(f"{path.name} must end with one of: {', '.join(f'.{known}' for known in forms)}.")
    return form


def save(
    url: str | None, runs: Sequence[str], address: Callable[[list[str]], str], query: Any, target: Any
) -> None:
    """Find the runs, fetch the figure and say where it is.

    address: from the runs' ids to the figure's address. query: from them to its query. target: (path, force).
    """
    path, force = target
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists; --force replaces it.")
    with open_client(url) as client:
        ids = [find_run(client, run) for run in runs]
        left_out = client.save_figure(address(ids), query(ids), path)
    click.echo(path)
    if left_out:
        click.echo(f"It shows {left_out}.", err=True)


def find_run(client: Client, text: str) -> str:
    """Return the id of the run with this id, this exact name, or the only one whose id begins like this."""
    try:
        return client.get(text).id
    except JobNotFound:
        pass
    named = [job for job in client.list(name=text) if job.name == text]
    found = named or [job for job in client.list() if job.id.startswith(text)]
    if len(found) == 1:
        return found[0].id
    raise click.UsageError(_explain(text, found))


def _explain(text: str, found: Sequence[JobSummary]) -> str:
    if not found:
        return f"No run has the id or the name {text!r}; `ganvas list` shows those that exist."
    shown = ", ".join(f"{job.id} ({job.name}, {job.created_at:%Y-%m-%d %H:%M})" for job in found[:MAX_NAMED])
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return f"{len(found)} runs are meant by {text!r}; name one by its id: {shown}{more}."


def given(**options: Any) -> Query:
    """Return the options that were given, as a query."""
    return [(name.rstrip("_"), str(value)) for name, value in options.items() if value not in (None, "", False)]
