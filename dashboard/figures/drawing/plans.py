"""The plan of a figure: everything that its process needs, as plain data."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

ImageForm = Literal["png", "svg", "pdf"]
MovieForm = Literal["gif", "png", "mp4"]
Scale = Literal["linear", "log"]

MEDIA_TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "gif": "image/gif",
    "mp4": "video/mp4",
}
# Limits of one figure. Grid pixels are those of the stored grids after cropping.
MAX_RUNS = 12
MAX_ITERATIONS = 16
MAX_GRID_PIXELS = 40_000_000
MAX_GRID_BYTES = 512 * 1_048_576
MAX_IMAGE_PIXELS = 60_000_000
MAX_METRICS = 12
MAX_POINTS = 12_000_000
MAX_FRAMES = 1000
MAX_MOVIE_PIXELS = 1_000_000_000


class FigureRefusal(Exception):
    """The figure cannot be drawn; the message says why, and what to request instead."""


class FigureOversize(FigureRefusal):
    """The figure would be too large."""


@dataclass(frozen=True)
class Grid:
    """The layout of a stored grid: rows × columns cells of so many pixels."""

    rows: int
    columns: int
    cell_width: int
    cell_height: int


@dataclass(frozen=True)
class Crop:
    """The cells to show, as (row, column) from 0, laid out from left to right in so many columns; None for all."""

    cells: tuple[tuple[int, int], ...]
    columns: int


def cells_size(grid: Grid, crop: Crop | None) -> tuple[int, int]:
    """Return width and height of what these cells of the grid cover, in stored pixels."""
    if crop is None:
        return grid.columns * grid.cell_width, grid.rows * grid.cell_height
    rows = -(-len(crop.cells) // crop.columns)
    return crop.columns * grid.cell_width, rows * grid.cell_height


@dataclass(frozen=True)
class Shot:
    """One grid of a timeline: its iteration, its layout, and which of the files that come with the plan it is."""

    iteration: int
    grid: Grid
    file: int


@dataclass(frozen=True)
class TimelineRow:
    """One run's row; a shot for each column, None where there is none; blanks: for each column why, or empty."""

    label: str
    shots: tuple[Shot | None, ...]
    blanks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """The form of the file, its width in millimetres, and the least resolution of a PNG in dots per inch."""

    form: ImageForm
    width_mm: float
    dpi: int


@dataclass(frozen=True)
class About:
    """The file's own metadata: a title, and a description that names runs, commits and iterations."""

    title: str
    description: str
    software: str


@dataclass(frozen=True)
class Line:
    """One curve. Its file holds its iterations as int64, then its values as float64."""

    run: int
    metric: str
    file: int


@dataclass(frozen=True)
class CurvesPlan:
    """Curves of some runs; metrics of one group share a panel. smoothing: 0 (none) to below 1, of an average."""

    page: Page
    about: About
    runs: tuple[str, ...]
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    smoothing: float
    x_scale: Scale
    y_scale: Scale
    kind: Literal["curves"] = "curves"


@dataclass(frozen=True)
class TimelinesPlan:
    """Rows = runs, columns = iterations; below them curves of the runs, if there are any."""

    page: Page
    about: About
    iterations: tuple[int, ...]
    rows: tuple[TimelineRow, ...]
    crop: Crop | None
    curves: CurvesPlan | None = None
    kind: Literal["timelines"] = "timelines"


@dataclass(frozen=True)
class MoviePlan:
    """One run's timeline as a movie; `side` is about what the longer side of its images has, in pixels."""

    form: MovieForm
    about: About
    shots: tuple[Shot, ...]
    crop: Crop | None
    fps: float
    side: int
    is_labelled: bool
    kind: Literal["movie"] = "movie"


@dataclass(frozen=True)
class HeatPanel:
    """The heat map of a run in a column, from the iteration `first` to `last`. Its file holds rows of shades."""

    row: int
    column: int
    word: str
    file: int
    width: int
    height: int
    first: int
    last: int


@dataclass(frozen=True)
class HeatMapsPlan:
    """Histograms over iterations: rows = runs, with one axis of values. is_power: these are powers of ten."""

    page: Page
    about: About
    runs: tuple[str, ...]
    panels: tuple[HeatPanel, ...]
    columns: int
    values: str
    low: float
    high: float
    is_power: bool
    kind: Literal["heat-maps"] = "heat-maps"


Plan = TimelinesPlan | CurvesPlan | MoviePlan | HeatMapsPlan
PLAN: TypeAdapter[Plan] = TypeAdapter(Annotated[Plan, Field(discriminator="kind")])
