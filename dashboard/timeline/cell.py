"""One cell followed through the timeline: the same latent, drawn again and again."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.samples.queries import GridRow
from dashboard.timeline.sheet_layout import CELL_FRAMES, alike, choose, cut_cells, name_sheet
from dashboard.timeline.view import CellPlace, nearest_index
from dashboard.web.formats import show_count
from dashboard.web.layout import Thumbnail

# Cells are enlarged by whole numbers up to this side, in pixels; a larger one is shown as the sheet holds it.
SHOWN_SIDE = 64


@dataclass(frozen=True)
class CellFrame:
    """The cell at one iteration, cut out of the sheet."""

    iteration: int
    label: str
    href: str
    image: Thumbnail
    current: bool


@dataclass(frozen=True)
class CellView:
    """A cell's history: its frames, what they leave out, and how large each is shown.

    Without frames, no cell is followed; then row and column are what the form begins with.
    """

    iteration: int
    rows: int
    columns: int
    row: int = 1
    column: int = 1
    note: str = ""
    width: int = 0
    height: int = 0
    frames: tuple[CellFrame, ...] = ()
    close_href: str = ""


@dataclass(frozen=True)
class CellPage:
    """The part of a run's page that shows a cell; None where there is no grid."""

    id: str
    cell: CellView | None


def build_cell(
    job_id: str, grids: Sequence[GridRow], place: CellPlace | None, wanted: int | None
) -> CellView | None:
    """Return the history of a cell, empty where none is followed or there is none; None without grids."""
    if not grids:
        return None
    selected = grids[nearest_index([grid.iteration for grid in grids], wanted)]
    if place is None or not (1 <= place.row <= selected.rows and 1 <= place.column <= selected.columns):
        return CellView(selected.iteration, selected.rows, selected.columns)
    same = alike(grids, selected)
    shown = choose(same, CELL_FRAMES)
    size = cut_cells(shown)[0].size
    scale = max(1, SHOWN_SIDE // max(size.width, size.height))
    return CellView(
        iteration=selected.iteration,
        rows=selected.rows,
        columns=selected.columns,
        row=place.row,
        column=place.column,
        note=_note(len(grids), same, shown),
        width=size.width * scale,
        height=size.height * scale,
        frames=_build_frames(job_id, shown, place, selected.iteration),
        close_href=f"/runs/{job_id}?iteration={selected.iteration}#timeline",
    )


def _build_frames(job_id: str, shown: Sequence[GridRow], place: CellPlace, selected: int) -> tuple[CellFrame, ...]:
    url = f"/runs/{job_id}/cells/{place.name}/{name_sheet(shown)}.png"
    current = nearest_index([grid.iteration for grid in shown], selected)
    return tuple(
        CellFrame(
            iteration=grid.iteration,
            label=show_count(grid.iteration),
            href=f"/runs/{job_id}?iteration={grid.iteration}&cell={place.name}#cell",
            image=Thumbnail(url, "", cutout.view_box, cutout.sheet.width, cutout.sheet.height),
            current=at == current,
        )
        for at, (grid, cutout) in enumerate(zip(shown, cut_cells(shown), strict=True))
    )


def _note(count: int, same: Sequence[GridRow], shown: Sequence[GridRow]) -> str:
    """Say what is shown of all grids, and what cannot be compared."""
    sentences = [
        f"{show_count(len(shown))} of {show_count(len(same))} grids, evenly spread."
        if len(shown) < len(same)
        else f"All {show_count(len(same))} grids."
        if len(same) > 1
        else "One grid so far."
    ]
    if len(same) < count:
        first, last = show_count(same[0].iteration), show_count(same[-1].iteration)
        sentences.append(
            f"The fixed latents changed: {show_count(count - len(same))} grids show other latents in this place "
            f"and are left out; these are from {first} to {last}."
        )
    return " ".join(sentences)
