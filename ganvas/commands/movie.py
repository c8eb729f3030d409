"""`ganvas movie`: a run's timeline as an MP4, a GIF or an animated PNG."""

from pathlib import Path

import click

from ganvas.commands.options import url_option
from ganvas.commands.saving import cell_options, given, out_options, read_form, save


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--fps", type=click.FloatRange(0.5, 50), help="Grids a second; 10 without it.")
@click.option("--from", "first", type=click.IntRange(0), metavar="N", help="The first iteration.")
@click.option("--to", "last", type=click.IntRange(0), metavar="N", help="The last iteration.")
@click.option("--every", type=click.IntRange(1), metavar="N", help="Grids at least so many iterations apart.")
@click.option("--size", type=click.IntRange(32, 1440), help="Pixels of the longer side; 560 without it.")
@click.option("--no-caption", is_flag=True, help="Leave the iteration below each frame out.")
@cell_options
@out_options
@url_option
def command(
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
    query = given(
        fps=fps, to=last, every=every, size=size, caption="none" if no_caption else None, rows=rows,
        columns=columns, cells=cells,
    )  # fmt: skip
    query += [("from", str(first))] if first is not None else []
    save(url, [run], lambda ids: f"/runs/{ids[0]}/movie.{form}", lambda _: query, (out, force))
