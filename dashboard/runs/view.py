"""The list of runs, as a table and as a gallery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

from api.jobs.schemas import JobSummary
from api.server.http.schemas import TERMINAL_STATES, JobState, Page
from dashboard.run.health import Verdict, judge_health
from dashboard.runs.bulk_actions import DoneView
from dashboard.runs.columns import VIEWS, Column, ColumnChoice, HeadingView, Listing, show_choices, show_headings
from dashboard.web.formats import NOTHING, show_count, show_duration, show_number, show_percent
from dashboard.web.layout import (
    DISCRIMINATOR_LOSS,
    GENERATOR_LOSS,
    STATE_WORDS,
    Figure,
    Frame,
    Moment,
    Thumbnail,
    figure_of,
    latest_value,
    moment_of,
    seconds_left,
    seconds_taken,
    short_commit,
    thumbnail_of,
)

ROWS = 50
# What a search looks like: the words, and what they find.
EXAMPLES = (
    ("digits", "a part of the name or of a tag"),
    ("tag:sweep state:failed", "a whole tag, a state"),
    ("commit:9f2c recipe:winkler", "the commit's first digits, a paper"),
    ("losses.generator=hinge", "a field of the spec"),
    ("techniques=feature_matching", "any element of a list"),
    ("eval/coverage<0.5", "a metric's newest value"),
    ("from:7kq2", "made from the run with this id"),
    ("-tag:old", "without"),
)
OPERATORS = "= != < <= > >= and ~ (contains)"


@dataclass(frozen=True)
class ListData:
    """What the page is made of: jobs, fields of their specs by job, and what is wrong with the search."""

    jobs: Page[JobSummary]
    fields: Mapping[str, Mapping[str, Any]]
    last_event_id: int
    problem: str = ""


@dataclass(frozen=True)
class LinkView:
    """A link that may be the current one."""

    text: str
    href: str
    current: bool


@dataclass(frozen=True)
class GridView:
    """A run's newest grid, whole."""

    url: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class RowView:
    """One run of the list. `extra`: its metrics and fields by column."""

    id: str
    name: str
    href: str
    tags: list[LinkView]
    state: JobState
    state_word: str
    thumbnail: Thumbnail | None
    grid: GridView | None
    no_grid: str
    iteration: int
    iterations: int
    progress: str
    percent: str
    time: str
    time_word: str
    generator_loss: Figure
    discriminator_loss: Figure
    has_losses: bool
    verdict: Verdict
    attempt: int
    commit: str
    commit_exact: str
    created: Moment
    reason: str
    extra: Mapping[str, Figure]


@dataclass(frozen=True)
class RunsPage:
    """The list of runs, or what to do when there is none."""

    title: str
    frame: Frame
    rows: list[RowView]
    is_gallery: bool
    columns: list[Column]
    headings: list[HeadingView]
    choices: list[ColumnChoice]
    others: str
    back: str
    states: list[LinkView]
    views: list[LinkView]
    q: str
    kept: dict[str, str]
    problem: str
    examples: Sequence[tuple[str, str]]
    operators: str
    nothing: str
    next_href: str
    first_href: str
    is_empty: bool
    done: DoneView | None
    sparklines_url: str
    stream_url: str
    last_event_id: int


def build_runs_page(
    data: ListData,
    listing: Listing,
    columns: list[Column],
    frame: Frame,
    now: datetime,
    done: DoneView | None = None,
) -> RunsPage:
    """Return the list page for one page of jobs; `done` is what the reader has just done with some."""
    jobs = data.jobs
    sparklines = replace(listing, columns=(), view="table").href("/runs/sparklines.svg")
    is_asked = bool(listing.q or listing.cursor)
    return RunsPage(
        title="Runs",
        frame=frame,
        rows=[_row(job, listing, columns, data.fields.get(job.id, {}), now) for job in jobs.items],
        is_gallery=listing.view == "gallery",
        columns=columns,
        headings=show_headings(columns, listing),
        choices=show_choices(columns),
        others=" ".join(column.key for column in columns if column.kind),
        back=replace(listing, columns=()).href(),
        states=_state_links(listing),
        views=[LinkView(v.capitalize(), replace(listing, view=v).href(), v == listing.view) for v in VIEWS],
        q=listing.q,
        kept=listing.fields(),
        problem=data.problem,
        examples=EXAMPLES,
        operators=OPERATORS,
        nothing="" if data.problem else f"No run has {listing.q}.",
        next_href=replace(listing, cursor=jobs.next).href() if jobs.next else "",
        first_href=replace(listing, cursor="").href() if listing.cursor else "",
        is_empty=not jobs.items and not is_asked,
        done=done,
        sparklines_url=f"{sparklines}{'&' if '?' in sparklines else '?'}v={data.last_event_id}",
        stream_url="/events",
        last_event_id=data.last_event_id,
    )


def _state_links(listing: Listing) -> list[LinkView]:
    states: list[JobState] = list(get_args(JobState))
    asked = [word.removeprefix("state:") for word in listing.q.split() if word.startswith("state:")]
    links = [LinkView("All", listing.with_state("").href(), not asked)]
    return links + [LinkView(STATE_WORDS[s], listing.with_state(s).href(), s in asked) for s in states]


def _row(
    job: JobSummary, listing: Listing, columns: Sequence[Column], fields: Mapping[str, Any], now: datetime
) -> RowView:
    left = seconds_left(job)
    return RowView(
        id=job.id,
        name=job.name,
        href=f"/runs/{job.id}",
        tags=[LinkView(tag, listing.with_tag(tag).href(), f"tag:{tag}" in listing.q.split()) for tag in job.tags],
        state=job.state,
        state_word=STATE_WORDS[job.state],
        thumbnail=thumbnail_of(job.newest_sample) if job.newest_sample else None,
        grid=_grid(job),
        no_grid="No grid" if job.state in TERMINAL_STATES else "No grid yet",
        iteration=job.iteration,
        iterations=job.iterations,
        progress=f"{show_count(job.iteration)} / {show_count(job.iterations)}",
        percent=show_percent(job.iteration / job.iterations),
        time=show_duration(left if job.state == "running" else seconds_taken(job, now)),
        time_word=_time_word(job, left),
        generator_loss=figure_of(latest_value(job, GENERATOR_LOSS)),
        discriminator_loss=figure_of(latest_value(job, DISCRIMINATOR_LOSS)),
        has_losses=GENERATOR_LOSS in job.latest or DISCRIMINATOR_LOSS in job.latest,
        verdict=judge_health(job, 0) if job.state != "queued" else Verdict("Waiting", "For a worker."),
        attempt=job.attempt,
        commit=short_commit(job.commit),
        commit_exact=job.commit or "no commit recorded",
        created=moment_of(job.created_at, now),
        reason=job.reason.message if job.reason and job.state == "failed" else "",
        extra={column.key: _extra(column, job, fields) for column in columns if column.kind},
    )


def _grid(job: JobSummary) -> GridView | None:
    sample = job.newest_sample
    if sample is None:
        return None
    alt = f"Samples of {job.name} at iteration {show_count(sample.iteration)}"
    return GridView(sample.url, alt, sample.columns * sample.cell_width, sample.rows * sample.cell_height)


def _extra(column: Column, job: JobSummary, fields: Mapping[str, Any]) -> Figure:
    if column.kind == "metric":
        return figure_of(latest_value(job, column.key))
    value = fields.get(column.key)
    return Figure(_show_field(value), NOTHING if value is None else str(value))


def _show_field(value: Any) -> str:
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return show_count(value)
        case float():
            return show_number(value)
        case list():
            return ", ".join(_show_field(part) for part in value) or NOTHING
        case _:
            return str(value)


def _time_word(job: JobSummary, left: float | None) -> str:
    if job.state == "running":
        return "" if left is None else "left"
    return "taken" if job.started_at else ""
