"""The image timeline: one selected grid, its neighbours, and a strip of frames from the first to the newest."""

import json
from base64 import b64encode
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from api.jobs.serializers import artifact_url
from api.samples.queries import GridRow
from api.samples.schemas import SampleRead
from dashboard.timeline.sheet_layout import cut_corners, evenly_spaced, name_sheet
from dashboard.web.formats import show_count
from dashboard.web.layout import Moment, Thumbnail, moment_of

# As many as lie side by side on a wide screen.
STRIP_FRAMES = 20
LARGEST_SIDE = 560


@dataclass(frozen=True)
class StripFrame:
    """One small frame of the strip."""

    iteration: int
    label: str
    href: str
    thumbnail: Thumbnail
    current: bool


@dataclass(frozen=True)
class TimelineView:
    """The selected grid at its enlarged size in pixels, and the ways to others (empty at either end)."""

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
    first_href: str
    previous_href: str
    next_href: str
    newest_href: str
    strip: list[StripFrame]


@dataclass(frozen=True)
class CellPlace:
    """A cell's place in the grid; both count from 1, as people count."""

    row: int
    column: int

    @property
    def name(self) -> str:
        """As an address says it."""
        return f"{self.row}-{self.column}"


@dataclass(frozen=True)
class TimelineData:
    """What is read of a timeline: all its grids in order, and the cell that the page follows, if any."""

    grids: list[GridRow]
    cell: CellPlace | None


def build_timeline(job_id: str, data: TimelineData, wanted: int | None, now: datetime) -> TimelineView | None:
    """Return the timeline at the grid nearest to the wanted iteration (by default the newest); None without."""
    grids = data.grids
    if not grids:
        return None
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
        first_href=href(0) if index > 0 else "",
        previous_href=href(index - 1) if index > 0 else "",
        next_href=href(index + 1) if index < last else "",
        newest_href=f"/runs/{job_id}{cell.replace('&', '?')}#timeline" if index < last else "",
        strip=_build_strip(job_id, grids, selected, href),
    )


def _build_strip(
    job_id: str, grids: list[GridRow], selected: GridRow, href: Callable[[int], str]
) -> list[StripFrame]:
    """Return frames from the first grid to the newest, cut out of one sheet of corners."""
    places = evenly_spaced(len(grids), STRIP_FRAMES)
    shown = [grids[at] for at in places]
    url = f"/runs/{job_id}/corners/{name_sheet(shown)}.png"
    cuts = cut_corners(shown)
    return [
        StripFrame(
            iteration=grid.iteration,
            label=show_count(grid.iteration),
            href=href(at),
            thumbnail=Thumbnail(url, "", cut.view_box, cut.sheet.width, cut.sheet.height),
            current=grid is selected,
        )
        for at, grid, cut in zip(places, shown, cuts, strict=True)
    ]


def nearest_index(iterations: list[int], wanted: int | None) -> int:
    """Return which of the rising iterations is nearest to the wanted one; the last without a wish."""
    if wanted is None:
        return len(iterations) - 1
    right = min(bisect_left(iterations, wanted), len(iterations) - 1)
    left = max(0, right - 1)
    return left if wanted - iterations[left] < iterations[right] - wanted else right


def enlargement(sample: SampleRead | GridRow) -> int:
    """Return the whole factor that makes the grid large: whole, so that every pixel is as large as the next."""
    side = max(sample.columns * sample.cell_width, sample.rows * sample.cell_height)
    return max(1, LARGEST_SIDE // side)


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
