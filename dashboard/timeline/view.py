"""The image timeline: one selected grid, a strip of frames from first to newest, and one cell's history."""

import json
from base64 import b64encode
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from api.artifacts.queries import artifact_url
from api.samples.queries import GridRow
from api.samples.schemas import SampleRead
from dashboard.timeline.requests import CellPosition
from dashboard.timeline.sheet_layout import (
    CELL_FRAMES,
    alike,
    cut_cells,
    cut_corners,
    name_sheet,
    spread,
)
from dashboard.web.formats import show_count
from dashboard.web.layout import Moment, Thumbnail, moment_of

# Frames that a strip chooses from: as many as lie side by side on a wide screen.
STRIP_CANDIDATES = 24
# The least distance between two frames of the strip, as a percentage of the axis; the script knows the width.
STRIP_GAP = 5.6
LARGEST_SIDE = 560


@dataclass(frozen=True)
class StripFrame:
    """One small frame of the strip; `x`: its iteration's place on the axis, as a percentage."""

    iteration: int
    x: str
    label: str
    href: str
    thumbnail: Thumbnail
    current: bool


@dataclass(frozen=True)
class TimelineView:
    """The selected grid at its enlarged size in pixels, and links to others (empty at either end).

    length: of the axis on which the strip's frames stand, in iterations.
    """

    iteration: int
    label: str
    position: str
    url: str
    alt: str
    width: int
    height: int
    rows: int
    columns: int
    created: Moment
    latents: str
    length: int
    first_href: str
    previous_href: str
    next_href: str
    newest_href: str
    strip: list[StripFrame]


@dataclass(frozen=True)
class TimelineData:
    """All grids of a timeline in order, and the cell that the page follows, if any."""

    grids: list[GridRow]
    cell: CellPosition | None


def build_timeline(
    job_id: str, data: TimelineData, wanted: int | None, length: int, now: datetime
) -> TimelineView | None:
    """Return the timeline at the grid nearest to the wanted iteration (or at the newest); None without grids.

    length: of the run's axis in iterations, at which its curves are drawn too.
    """
    grids = data.grids
    if not grids:
        return None
    length = max(length, grids[-1].iteration)
    index, last = nearest_index([grid.iteration for grid in grids], wanted), len(grids) - 1
    selected = grids[index]
    scale = enlargement(selected)
    label = show_count(selected.iteration)
    cell = f"&cell={data.cell.name}" if data.cell else ""

    def href(at: int) -> str:
        return f"/runs/{job_id}?iteration={grids[at].iteration}{cell}#timeline"

    return TimelineView(
        iteration=selected.iteration,
        label=label,
        position=f"{show_count(index + 1)} of {show_count(len(grids))}",
        url=artifact_url(selected.sha256),
        alt=f"{selected.rows} × {selected.columns} generated images at iteration {label}",
        width=selected.width * scale,
        height=selected.height * scale,
        rows=selected.rows,
        columns=selected.columns,
        created=moment_of(selected.created_at, now),
        latents=selected.latents_sha256,
        length=length,
        first_href=href(0) if index > 0 else "",
        previous_href=href(index - 1) if index > 0 else "",
        next_href=href(index + 1) if index < last else "",
        newest_href=f"/runs/{job_id}{cell.replace('&', '?')}#timeline" if index < last else "",
        strip=_build_strip(job_id, grids, selected, length, href),
    )


def _build_strip(
    job_id: str, grids: list[GridRow], selected: GridRow, length: int, href: Callable[[int], str]
) -> list[StripFrame]:
    """Return frames from the first grid to the newest, cut out of one sheet of corners.

    Each stands at its iteration's place; one that would cover the frame before is left out.
    """
    indices = spread(len(grids), STRIP_CANDIDATES)
    candidates = [grids[at] for at in indices]
    url = f"/runs/{job_id}/corners/{name_sheet(candidates)}.png"
    cuts = cut_corners(candidates)
    places = [100 * grid.iteration / length for grid in candidates]
    shown = space_out(places, STRIP_GAP)
    nearest = min(shown, key=lambda at: abs(candidates[at].iteration - selected.iteration))
    return [
        StripFrame(
            iteration=candidates[at].iteration,
            x=f"{places[at]:.2f}%",
            label=show_count(candidates[at].iteration),
            href=href(indices[at]),
            thumbnail=Thumbnail(url, "", cuts[at].view_box, cuts[at].sheet.width, cuts[at].sheet.height),
            current=at == nearest,
        )
        for at in shown
    ]


def space_out(places: Sequence[float], gap: float) -> list[int]:
    """Return the indices of those rising places that keep this distance, the last one among them."""
    kept: list[int] = []
    for at, place in enumerate(places):
        if not kept or place - places[kept[-1]] >= gap:
            kept.append(at)
    # The newest one takes the place of the frame that it would cover.
    if kept and kept[-1] != len(places) - 1:
        kept[-1] = len(places) - 1
    return kept


def nearest_index(iterations: list[int], wanted: int | None) -> int:
    """Return the index of the nearest of the rising iterations, or of the last where none is wanted."""
    if wanted is None:
        return len(iterations) - 1
    right = min(bisect_left(iterations, wanted), len(iterations) - 1)
    left = max(0, right - 1)
    return left if wanted - iterations[left] < iterations[right] - wanted else right


def enlargement(sample: SampleRead | GridRow) -> int:
    """Return the factor that makes the grid large; an integer, so that all pixels are of one size."""
    side = max(sample.columns * sample.cell_width, sample.rows * sample.cell_height)
    return max(1, LARGEST_SIDE // side)


# Cells are enlarged by an integer up to this side, in pixels; a larger one keeps its size on the sheet.
SHOWN_SIDE = 64
# Of a cell that nobody chose: a few frames, and larger ones.
UNASKED_FRAMES, UNASKED_SIDE = 16, 96


@dataclass(frozen=True)
class CellFrame:
    """The cell at one iteration, cut out of the sheet."""

    iteration: int
    label: str
    href: str
    image: Thumbnail
    current: bool


UNKNOWN_LATENTS = "Cells are not compared one by one: nothing says that a place shows the same latents each time. "
# Where that can be said, by who writes the run.
_SAYING_LATENTS: dict[str, str] = {
    "own": (
        "run.latents(z), called once with the latents that every grid is drawn from, makes each cell one that can "
        "be followed and compared."
    ),
    "mlflow": (
        "MLflow's client has no call that says so; a loop that records by ganvas.init has one, run.latents(z)."
    ),
}
_IMPORTED = "What this run was imported from does not say it."


@dataclass(frozen=True)
class CellView:
    """A cell's history: its frames, a note on those left out, and the size of each on the page.

    is_followed: whether a person chose it; else it is one in the middle of the grid, and in fewer frames.
    is_known: whether a cell shows the same latents all along; without that there are no frames.
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
    is_known: bool = True
    is_followed: bool = False


@dataclass(frozen=True)
class CellPage:
    """The part of a run's page that shows a cell; None where there is no grid."""

    id: str
    cell: CellView | None


def build_cell(
    job_id: str, grids: Sequence[GridRow], position: CellPosition | None, wanted: int | None, origin: str
) -> CellView | None:
    """Return the history of a cell, empty where none is followed or there is none; None without grids."""
    if not grids:
        return None
    selected = grids[nearest_index([grid.iteration for grid in grids], wanted)]
    if not selected.has_known_latents:
        note = UNKNOWN_LATENTS + _SAYING_LATENTS.get(origin, _IMPORTED)
        return CellView(selected.iteration, selected.rows, selected.columns, note=note, is_known=False)
    is_followed = (
        position is not None and 1 <= position.row <= selected.rows and 1 <= position.column <= selected.columns
    )
    if position is None or not is_followed:
        position = CellPosition((selected.rows + 1) // 2, (selected.columns + 1) // 2)
    same = alike(grids, selected)
    shown = [same[at] for at in spread(len(same), CELL_FRAMES if is_followed else UNASKED_FRAMES)]
    size = cut_cells(shown)[0].size
    side = SHOWN_SIDE if is_followed else UNASKED_SIDE
    scale = max(1, side // max(size.width, size.height))
    return CellView(
        iteration=selected.iteration,
        rows=selected.rows,
        columns=selected.columns,
        row=position.row,
        column=position.column,
        note=_note(grids, same, shown) if is_followed else _invite(len(grids), len(same)),
        width=size.width * scale,
        height=size.height * scale,
        frames=_build_frames(job_id, shown, position, selected.iteration, is_followed=is_followed),
        close_href=f"/runs/{job_id}?iteration={selected.iteration}#timeline",
        is_followed=is_followed,
    )


def _build_frames(
    job_id: str, shown: Sequence[GridRow], position: CellPosition, selected: int, *, is_followed: bool
) -> tuple[CellFrame, ...]:
    url = f"/runs/{job_id}/cells/{position.name}/{name_sheet(shown)}.png"
    current = nearest_index([grid.iteration for grid in shown], selected)
    kept = f"&cell={position.name}#cell" if is_followed else "#timeline"
    return tuple(
        CellFrame(
            iteration=grid.iteration,
            label=show_count(grid.iteration),
            href=f"/runs/{job_id}?iteration={grid.iteration}{kept}",
            image=Thumbnail(url, "", cutout.view_box, cutout.sheet.width, cutout.sheet.height),
            current=at == current,
        )
        for at, (grid, cutout) in enumerate(zip(shown, cut_cells(shown), strict=True))
    )


def _invite(count: int, same: int) -> str:
    where = "at every iteration" if same == count else f"in {show_count(same)} of {show_count(count)} grids"
    return f"The same latents {where}. Click a cell of the grid to follow that one."


def _note(grids: Sequence[GridRow], same: Sequence[GridRow], shown: Sequence[GridRow]) -> str:
    """Say how many of the grids are shown, and how many cannot be compared."""
    sentences = [
        f"{show_count(len(shown))} of {show_count(len(same))} grids, evenly spread."
        if len(shown) < len(same)
        else f"All {show_count(len(same))} grids."
        if len(same) > 1
        else "One grid so far."
    ]
    kept = f"these are from {show_count(same[0].iteration)} to {show_count(same[-1].iteration)}."
    unknown = sum(not grid.has_known_latents for grid in grids)
    if changed := len(grids) - len(same) - unknown:
        sentences.append(
            f"The fixed latents changed: {show_count(changed)} grids show other latents in this place "
            f"and are left out; {kept}"
        )
    if unknown:
        sentences.append(f"Grids without known latents, {show_count(unknown)}, are left out; {kept}")
    return " ".join(sentences)


def write_timeline(grids: Sequence[GridRow], last_event_id: int) -> bytes:
    """Return the timeline as JSON: one entry for each grid, and one layout for each run of grids that share it.

    files: the 32 bytes of each grid's sha256, one after the other, as base64; quoted digits do not shrink as well.
    """
    layouts = [
        {
            "count": len(list(members)),
            "rows": layout[0],
            "columns": layout[1],
            "cell_width": layout[2],
            "cell_height": layout[3],
            "latents_sha256": layout[4],
        }
        for layout, members in groupby(grids, key=lambda grid: grid.layout)
    ]
    timeline = {
        "iterations": [grid.iteration for grid in grids],
        "files": b64encode(bytes.fromhex("".join(grid.sha256 for grid in grids))).decode(),
        "created": [stamp(grid.created_at) for grid in grids],
        "layouts": layouts,
        "last_event_id": last_event_id,
    }
    return json.dumps(timeline, separators=(",", ":")).encode()


def stamp(moment: datetime) -> float:
    """Return a time in seconds since 1970, to the tenth, as scripts and pages compare it."""
    return round(moment.timestamp(), 1)
