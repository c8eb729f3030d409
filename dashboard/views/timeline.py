"""The image timeline: one selected grid, its neighbours, and a strip of frames from the first to the newest."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime

from api.schemas import SampleRead
from dashboard.formats import show_count
from dashboard.images.selection import evenly_spaced
from dashboard.views.common import Moment, Thumbnail, moment_of, thumbnail_of

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
    created: Moment
    latents: str
    first_href: str
    previous_href: str
    next_href: str
    newest_href: str
    strip: list[StripFrame]
    samples_url: str


@dataclass(frozen=True)
class TimelineData:
    """What is read of a timeline: the iterations of all grids, and the grids that a page shows, by iteration."""

    iterations: list[int]
    samples: dict[int, SampleRead]


def shown_iterations(iterations: list[int], wanted: int | None) -> list[int]:
    """Return the iterations whose grids the page shows: the selected one and those of the strip."""
    if not iterations:
        return []
    strip = [iterations[index] for index in evenly_spaced(len(iterations), STRIP_FRAMES)]
    return [iterations[nearest_index(iterations, wanted)], *strip]


def build_timeline(job_id: str, data: TimelineData, wanted: int | None, now: datetime) -> TimelineView | None:
    """Return the timeline at the grid nearest to the wanted iteration (by default the newest); None without."""
    iterations = data.iterations
    if not iterations:
        return None
    index, last = nearest_index(iterations, wanted), len(iterations) - 1
    selected = data.samples[iterations[index]]
    scale = enlargement(selected)
    label = show_count(selected.iteration)

    def href(at: int) -> str:
        return f"/runs/{job_id}?iteration={iterations[at]}#timeline"

    def strip_frame(at: int) -> StripFrame:
        sample = data.samples[iterations[at]]
        return StripFrame(
            sample.iteration, show_count(sample.iteration), href(at), thumbnail_of(sample), at == index
        )

    return TimelineView(
        iteration=selected.iteration,
        label=label,
        position=f"{show_count(index + 1)} of {show_count(len(iterations))}",
        url=selected.url,
        alt=f"{selected.rows} × {selected.columns} generated images at iteration {label}",
        width=selected.columns * selected.cell_width * scale,
        height=selected.rows * selected.cell_height * scale,
        created=moment_of(selected.created_at, now),
        latents=selected.latents_sha256,
        first_href=href(0) if index > 0 else "",
        previous_href=href(index - 1) if index > 0 else "",
        next_href=href(index + 1) if index < last else "",
        newest_href=f"/runs/{job_id}#timeline" if index < last else "",
        strip=[strip_frame(at) for at in evenly_spaced(len(iterations), STRIP_FRAMES)],
        samples_url=f"/jobs/{job_id}/samples",
    )


def nearest_index(iterations: list[int], wanted: int | None) -> int:
    """Return which of the rising iterations is nearest to the wanted one; the last without a wish."""
    if wanted is None:
        return len(iterations) - 1
    right = min(bisect_left(iterations, wanted), len(iterations) - 1)
    left = max(0, right - 1)
    return left if wanted - iterations[left] < iterations[right] - wanted else right


def enlargement(sample: SampleRead) -> int:
    """Return the whole factor that makes the grid large: whole, so that every pixel is as large as the next."""
    side = max(sample.columns * sample.cell_width, sample.rows * sample.cell_height)
    return max(1, LARGEST_SIDE // side)
