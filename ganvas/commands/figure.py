"""`ganvas figure`: timelines beside each other, or curves, as a file for a paper."""

from pathlib import Path
from typing import Any

import click

from ganvas.commands.options import url_option
from ganvas.commands.saving import Query, cell_options, given, out_options, read_form, save

IMAGES = ("pdf", "svg", "png")


@click.command()
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
@click.option("--iterations", metavar="N,…", help="Columns; without it five, evenly spread.")
@click.option("--curves", metavar="METRIC,…", help="Draw curves instead: loss/generator,loss/discriminator.")
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
def command(runs: tuple[str, ...], out: Path, force: bool, url: str | None, **options: Any) -> None:
    """Draw RUNs (rows) at iterations (columns), or their curves, into a PDF, SVG or PNG; curves also into a CSV.

    A RUN is an id, the beginning of one, or an exact name.
    """
    curves = options.pop("curves")
    form = read_form(out, IMAGES if curves is None else (*IMAGES, "csv"))
    if len(options["label"]) > len(runs):
        raise click.UsageError("There are more --label than runs.")
    query = _ask_timelines(options) if curves is None else _ask_curves(curves, options, form)
    labels = [] if form == "csv" else options["label"]

    def write_query(ids: list[str]) -> Query:
        named = [(f"label.{run}", text) for run, text in zip(ids, labels, strict=False)]
        return [*(("run", run) for run in ids), *named, *query]

    kind = "timelines" if curves is None else "curves"
    save(url, runs, lambda _: f"/figures/{kind}.{form}", write_query, (out, force))


def _ask_timelines(options: dict[str, Any]) -> Query:
    for name in ("smoothing", "log_x", "log_y"):
        if options[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} is for --curves.")
    return given(
        iteration=options["iterations"], rows=options["rows"], columns=options["columns"], cells=options["cells"],
        **_ask_page(options),
    )  # fmt: skip


def _ask_curves(curves: str, options: dict[str, Any], form: str) -> Query:
    for name in ("iterations", "rows", "columns", "cells"):
        if options[name]:
            raise click.UsageError(f"--{name} is for timelines, not for --curves.")
    if form == "csv":
        return given(metric=curves)
    return given(
        metric=curves, smoothing=options["smoothing"], x="log" if options["log_x"] else None,
        y="log" if options["log_y"] else None, **_ask_page(options),
    )  # fmt: skip


def _ask_page(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("labels", "width", "dpi")}
