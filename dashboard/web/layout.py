"""The frame of every page, and the small parts that several pages share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from urllib.parse import urlencode

from api.artifacts.queries import artifact_url
from api.events.findings.schemas import VerdictRead
from api.jobs.schemas import JobSummary
from api.samples.queries import GridRow
from api.samples.schemas import SampleRead
from api.server.http.schemas import JobState, Origin
from dashboard.web.formats import show_age, show_count, show_exact, show_moment, show_number, show_percent
from ganlib.vocabulary import SPEED

Theme = Literal["system", "light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)

STATE_WORDS: dict[JobState, str] = {
    "queued": "Queued",
    "running": "Running",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
# Who writes a run that no worker trains, in a quiet word beside its name.
ORIGIN_WORDS: dict[Origin, str] = {
    "ganlib": "",
    "own": "own loop",
    "mlflow": "MLflow",
    "tensorboard": "TensorBoard",
    "wandb": "W&B",
    "trackio": "trackio",
}
THUMBNAIL_CELLS = 2


@dataclass(frozen=True)
class Frame:
    """The surroundings of every page: the chosen theme, the address to return to, and the login.

    is_logged_in: whether one can log out. is_reader: whether the login may only read; no more is offered then.
    is_limited: whether nobody may do more here, as where folders are shown.
    is_alone: whether the page is shared by a link or is a file: it leads to no other page. shared_until: when its
    link ends, or empty.
    """

    theme: Theme
    path: str
    is_logged_in: bool = False
    is_reader: bool = False
    is_alone: bool = False
    shared_until: str = ""
    is_limited: bool = False


FILE_FRAME = Frame("system", "", is_reader=True, is_alone=True)


@dataclass(frozen=True)
class LinkView:
    """A link that may be the current one."""

    text: str
    href: str
    current: bool


@dataclass(frozen=True)
class Figure:
    """A number as people read it, and exactly."""

    text: str
    exact: str


@dataclass(frozen=True)
class Moment:
    """A time: for machines, in UTC for people, and how long ago."""

    iso: str
    utc: str
    age: str


@dataclass(frozen=True)
class Thumbnail:
    """The first cells of a grid, enlarged: a whole grid at this size is noise. `view_box` cuts them out."""

    url: str
    alt: str
    view_box: str
    width: int
    height: int


def corner_of(grid: GridRow) -> Thumbnail:
    """Return the upper left corner of a grid of a timeline, 2 × 2 cells."""
    rows, columns = min(grid.rows, THUMBNAIL_CELLS), min(grid.columns, THUMBNAIL_CELLS)
    alt = f"Samples at iteration {show_count(grid.iteration)}"
    view_box = f"0 0 {columns * grid.cell_width} {rows * grid.cell_height}"
    return Thumbnail(artifact_url(grid.sha256), alt, view_box, grid.width, grid.height)


def thumbnail_of(sample: SampleRead) -> Thumbnail:
    """Return the grid's upper left corner of 2 × 2 cells."""
    rows, columns = min(sample.rows, THUMBNAIL_CELLS), min(sample.columns, THUMBNAIL_CELLS)
    return Thumbnail(
        url=sample.url,
        alt=f"Samples at iteration {show_count(sample.iteration)}",
        view_box=f"0 0 {columns * sample.cell_width} {rows * sample.cell_height}",
        width=sample.columns * sample.cell_width,
        height=sample.rows * sample.cell_height,
    )


def figure_of(value: float | None) -> Figure:
    """Return a metric's value in human form."""
    return Figure(show_number(value), show_exact(value))


def moment_of(moment: datetime, now: datetime) -> Moment:
    """Return a time in all its forms."""
    return Moment(moment.isoformat(), show_moment(moment), show_age(moment, now))


def find_moment(moment: datetime | None, now: datetime) -> Moment | None:
    """Return a time in all its forms, or None."""
    return moment_of(moment, now) if moment else None


def latest_value(job: JobSummary, metric: str) -> float | None:
    """Return a metric's newest value, or None."""
    newest = job.latest.get(metric)
    return newest.value if newest else None


def find_verdict(job: JobSummary) -> VerdictRead | None:
    """Return the verdict on a run; None of one that was never examined and waits, or that no worker trains."""
    is_mute = job.state == "queued" or job.origin != "ganlib"
    return None if is_mute and job.verdict.tone == "unknown" else job.verdict


def show_progress(job: JobSummary) -> str:
    """Return how far a run is: 5,400 / 10,000, or 5,400 where no end was planned."""
    done = show_count(job.iteration)
    return f"{done} / {show_count(job.iterations)}" if job.iterations else done


def show_share(job: JobSummary) -> str:
    """Return how much of a run is done, empty where no end was planned."""
    return show_percent(job.iteration / job.iterations) if job.iterations else ""


def seconds_left(job: JobSummary) -> float | None:
    """Return how long a running job still needs at its newest speed, or None when that is not known."""
    speed = latest_value(job, SPEED.name)
    if not job.iterations or job.state != "running" or speed is None or not 0 < speed < float("inf"):
        return None
    return (job.iterations - job.iteration) / speed


def seconds_taken(job: JobSummary, now: datetime) -> float | None:
    """Return how long a job has run, or ran."""
    if job.started_at is None:
        return None
    return ((job.ended_at or now) - job.started_at).total_seconds()


def write_tag_term(tag: str) -> str:
    """Return the term of a search that finds a tag."""
    return f'tag:"{tag}"' if " " in tag else f"tag:{tag}"


def search_href(search: str) -> str:
    """Return the address of the list of runs that this search finds."""
    return f"/?{urlencode({'q': search})}"
