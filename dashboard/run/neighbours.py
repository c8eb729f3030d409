"""Generated images beside their nearest training images: a check whether a generator copies them."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from api.curves.histograms import list_histograms_at
from api.curves.schemas import HistogramRead
from api.samples.queries import find_neighbour_grid, list_neighbour_iterations, list_samples_at
from api.samples.schemas import NeighbourGridRead, SampleRead
from dashboard.timeline.view import enlargement, nearest_index
from dashboard.web.formats import show_count, show_number
from ganlib.vocabulary import NEIGHBOUR_DISTANCES


@dataclass(frozen=True)
class NeighbourData:
    """The iterations that have a neighbour grid, the one that is shown, its sample grid, and its distances."""

    iterations: list[int]
    grid: NeighbourGridRead | None
    sample: SampleRead | None
    distances: HistogramRead | None


@dataclass(frozen=True)
class PictureView:
    """One of the two grids, enlarged; `field` is its name in scripts."""

    field: str
    url: str
    alt: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class NeighboursView:
    """Both grids of one iteration, and links to earlier and later ones (empty at either end)."""

    iteration: int
    label: str
    position: str
    grids_url: str
    pictures: list[PictureView]
    distances: str
    previous_href: str
    next_href: str


def shown_neighbours(iterations: list[int], wanted: int | None) -> int | None:
    """Return the iteration whose neighbour grid is shown: the nearest to the wanted one, or the newest."""
    return iterations[nearest_index(iterations, wanted)] if iterations else None


def read_neighbours(session: Session, job_id: str, wanted: int | None) -> NeighbourData:
    """Read the neighbour grid nearest to the wanted iteration, its sample grid, and its distances."""
    iterations = list_neighbour_iterations(session, job_id)
    iteration = shown_neighbours(iterations, wanted)
    if iteration is None:
        return NeighbourData(iterations, None, None, None)
    samples = list_samples_at(session, job_id, [iteration])
    distances = list_histograms_at(session, job_id, [NEIGHBOUR_DISTANCES], [iteration])
    grid = find_neighbour_grid(session, job_id, iteration)
    return NeighbourData(iterations, grid, next(iter(samples), None), next(iter(distances), None))


def build_neighbours(job_id: str, data: NeighbourData) -> NeighboursView | None:
    """Return both grids; None without a neighbour grid."""
    grid = data.grid
    if grid is None:
        return None
    index, last = data.iterations.index(grid.iteration), len(data.iterations) - 1
    label = show_count(grid.iteration)

    def href(at: int) -> str:
        return f"/runs/{job_id}?iteration={data.iterations[at]}#neighbours"

    pictures = (
        [_picture("generated", data.sample, "Generated", f"generated images at iteration {label}")]
        if data.sample
        else []
    )
    alt = f"training images, each the nearest to the generated image in its place at iteration {label}"
    return NeighboursView(
        iteration=grid.iteration,
        grids_url=f"/jobs/{job_id}/neighbours",
        label=label,
        position=f"{show_count(index + 1)} of {show_count(last + 1)}",
        pictures=[*pictures, _picture("nearest", grid, "Nearest training image of each", alt)],
        distances=_distances(data.distances),
        previous_href=href(index - 1) if index > 0 else "",
        next_href=href(index + 1) if index < last else "",
    )


def _picture(field: str, grid: SampleRead, caption: str, alt: str) -> PictureView:
    scale = enlargement(grid)
    return PictureView(
        field=field,
        url=grid.url,
        alt=f"{grid.rows} × {grid.columns} {alt}",
        caption=caption,
        width=grid.columns * grid.cell_width * scale,
        height=grid.rows * grid.cell_height * scale,
    )


def _distances(histogram: HistogramRead | None) -> str:
    if histogram is None:
        return ""
    low, high = show_number(histogram.low), show_number(histogram.high)
    return f"Distances {low} … {high} of 255: the mean difference of a pixel."
