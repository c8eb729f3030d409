"""`ganvas figure` and `ganvas movie`: figures and movies of runs, saved as files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from api.client.client import Client
from api.errors import JobAmbiguous, JobNotFound
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS
from ganvas.commands.options import RunType, open_client, url_option

Command = Callable[..., Any]
Query = list[tuple[str, str]]
IMAGES = ("pdf", "svg", "png")


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
    """Return the format that the file's ending names; raises UsageError for another one."""
    form = path.suffix.lower().lstrip(".")
    if form not in forms:
        raise click.UsageError(f"{path.name} must end with one of: {', '.join(f'.{known}' for known in forms)}.")
    return form


@click.command()
@click.argument("runs", metavar="RUN…", nargs=-1, required=True, type=RunType())
@click.option("--iterations", metavar="N,…", help="Columns; without it five, evenly spread.")
@click.option(
    "--curves",
    metavar="METRIC,…",
    help=f"Draw curves instead: {GENERATOR_LOSS.name},{DISCRIMINATOR_LOSS.name}.",
)
@click.option("--below", metavar="METRIC,…", help="Draw these curves below the grids.")
@click.option("--smoothing", type=click.FloatRange(0, 0.999), help="Of curves: 0 none, 0.9 much.")
@click.option("--log-x", is_flag=True, help="A logarithmic axis of iterations.")
@click.option("--log-y", is_flag=True, help="A logarithmic axis of values.")
@cell_options
@click.option(
    "--labels", type=click.Choice(["name", "changes", "id", "none"]),
    help="Call runs by name, by what their specs differ in, by id, or not at all.",
)  # fmt: skip
@click.option("--label", multiple=True, metavar="TEXT", help="What to call a run, once for each, in their order.")
@click.option("--width", type=click.FloatRange(30, 420), help="In mm; 170 without it.")
@click.option("--dpi", type=click.IntRange(50, 1200), help="Least resolution of a PNG; 300 without it.")
@out_options
@url_option
def figure_command(runs: tuple[str, ...], out: Path, force: bool, url: str | None, **options: Any) -> None:
    """Draw RUNs (rows) at iterations (columns), or their curves, into a PDF, SVG or PNG; curves also into a CSV.

    A RUN is an id, the beginning of one, or an exact name.
    """
    curves = options.pop("curves")
    form = read_form(out, IMAGES if curves is None else (*IMAGES, "csv"))
    if len(options["label"]) > len(runs):
        raise click.UsageError("There are more --label than runs.")
    query = _timelines_query(options) if curves is None else _curves_query(curves, options, form)
    labels = [] if form == "csv" else options["label"]

    kind = "timelines" if curves is None else "curves"

    def build_request(ids: list[str]) -> tuple[str, Query]:
        named = [(f"label.{run}", text) for run, text in zip(ids, labels, strict=False)]
        return f"/figures/{kind}.{form}", [*(("run", run) for run in ids), *named, *query]

    save_figure(url, runs, build_request, out, force=force)


def _timelines_query(options: dict[str, Any]) -> Query:
    for name in ("smoothing", "log_x", "log_y"):
        if options[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} is for --curves.")
    return to_query(
        iteration=options["iterations"], below=options["below"], rows=options["rows"], columns=options["columns"],
        cells=options["cells"],
        **_page_options(options),
    )  # fmt: skip


def _curves_query(curves: str, options: dict[str, Any], form: str) -> Query:
    for name in ("iterations", "below", "rows", "columns", "cells"):
        if options[name]:
            raise click.UsageError(f"--{name} is for timelines, not for --curves.")
    if form == "csv":
        return to_query(metric=curves)
    return to_query(
        metric=curves, smoothing=options["smoothing"], x="log" if options["log_x"] else None,
        y="log" if options["log_y"] else None, **_page_options(options),
    )  # fmt: skip


def _page_options(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("labels", "width", "dpi")}


@click.command()
@click.argument("run", metavar="RUN", type=RunType())
@click.option("--fps", type=click.FloatRange(0.5, 50), help="Grids a second; 10 without it.")
@click.option("--from", "first", type=click.IntRange(0), metavar="N", help="The first iteration.")
@click.option("--to", "last", type=click.IntRange(0), metavar="N", help="The last iteration.")
@click.option("--every", type=click.IntRange(1), metavar="N", help="Grids at least so many iterations apart.")
@click.option("--size", type=click.IntRange(32, 1440), help="Pixels of the longer side; 560 without it.")
@click.option("--no-caption", is_flag=True, help="Leave the iteration below each frame out.")
@cell_options
@out_options
@url_option
def movie_command(
    run: str,
    fps: float | None,
    first: int | None,
    last: int | None,
    every: int | None,
    size: int | None,
    no_caption: bool,
    rows: int | None,
    columns: int | None,
    cells: str | None,
    out: Path,
    force: bool,
    url: str | None,
) -> None:
    """Make a movie of RUN's timeline: .mp4 for slides, .gif for pages, .png keeps every pixel.

    RUN is an id, the beginning of one, or an exact name.
    """
    form = read_form(out, ("mp4", "gif", "png"))
    query = to_query(
        fps=fps, to=last, every=every, size=size, caption="none" if no_caption else None, rows=rows,
        columns=columns, cells=cells,
    )  # fmt: skip
    query += [("from", str(first))] if first is not None else []
    save_figure(url, [run], lambda ids: (f"/runs/{ids[0]}/movie.{form}", query), out, force=force)


def save_figure(
    url: str | None,
    runs: Sequence[str],
    build_request: Callable[[list[str]], tuple[str, Query]],
    path: Path,
    *,
    force: bool,
) -> None:
    """Find the runs, save the figure and print its path.

    build_request: returns path and query of the figure for the runs' ids.
    """
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists; --force replaces it.")
    with open_client(url) as client:
        ids = [find_run(client, run) for run in runs]
        left_out = client.save_figure(*build_request(ids), path)
    click.echo(path)
    if left_out:
        click.echo(f"It shows {left_out}.", err=True)


def find_run(client: Client, run: str) -> str:
    """Return the id of the run; raises UsageError where none or several are meant."""
    try:
        return client.get(run).id
    except (JobNotFound, JobAmbiguous) as error:
        raise click.UsageError(error.text) from None


def to_query(**options: Any) -> Query:
    """Return the options that were given, as a query of the service."""
    return [(name.rstrip("_"), str(value)) for name, value in options.items() if value not in (None, "", False)]
