"""The list of runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import get_args
from urllib.parse import urlencode

from api.schemas import JobState, JobSummary, Page
from dashboard.formats import show_count, show_duration, show_percent
from dashboard.views.common import (
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
# What the list can be sorted by: the word in the heading, and the order that a first click wants.
SORTS = {
    "state": ("State", "state"),
    "iteration": ("Progress", "-iteration"),
    "name": ("Run", "name"),
    "created_at": ("Age", "-created_at"),
}


@dataclass(frozen=True)
class Filters:
    """What the list is asked for; the empty string asks for all."""

    state: str = ""
    name: str = ""
    tag: str = ""
    commit: str = ""
    sort: str = "-created_at"
    cursor: str = ""

    @property
    def knows_state(self) -> bool:
        """Whether the state, if one is asked for, is one that a run can have."""
        return not self.state or self.state in get_args(JobState)

    def href(self, **changes: str) -> str:
        """Return the address of the list with these filters changed, from its first page."""
        wanted = {**self.__dict__, "cursor": "", **changes}
        kept = {key: value for key, value in wanted.items() if value and (key, value) != ("sort", "-created_at")}
        return f"/?{urlencode(kept)}" if kept else "/"


@dataclass(frozen=True)
class LinkView:
    """A link that may be the current one."""

    text: str
    href: str
    current: bool


@dataclass(frozen=True)
class HeadingView:
    """A column's heading that sorts; `direction` is what aria-sort says, or empty."""

    text: str
    href: str
    direction: str


@dataclass(frozen=True)
class RowView:
    """One run of the list."""

    id: str
    name: str
    href: str
    tags: list[LinkView]
    state: JobState
    state_word: str
    thumbnail: Thumbnail | None
    iteration: int
    iterations: int
    progress: str
    percent: str
    time: str
    time_word: str
    generator_loss: Figure
    discriminator_loss: Figure
    commit: str
    commit_exact: str
    created: Moment
    reason: str


@dataclass(frozen=True)
class RunsPage:
    """The list of runs, or what to do when there is none."""

    title: str
    frame: Frame
    rows: list[RowView]
    states: list[LinkView]
    headings: dict[str, HeadingView]
    name: str
    hidden: dict[str, str]
    nothing: str
    all_href: str
    next_href: str
    first_href: str
    is_empty: bool
    stream_url: str
    last_event_id: int


def build_runs_page(
    jobs: Page[JobSummary], filters: Filters, last_event_id: int, frame: Frame, now: datetime
) -> RunsPage:
    """Return the list page for one page of jobs."""
    filtered = [f"{key} “{getattr(filters, key)}”" for key in ("name", "tag", "commit") if getattr(filters, key)]
    if filters.state:
        filtered.insert(0, f"state {filters.state}")
    unknown = f"There is no state “{filters.state}”." if filters.state and not filters.knows_state else ""
    return RunsPage(
        title="Runs",
        frame=frame,
        rows=[_row(job, filters, now) for job in jobs.items],
        states=_state_links(filters),
        headings={key: _heading(key, filters) for key in SORTS},
        name=filters.name,
        hidden={key: getattr(filters, key) for key in ("state", "tag", "commit") if getattr(filters, key)},
        nothing=unknown or f"No run has {', '.join(filtered)}.",
        all_href="/",
        next_href=filters.href(cursor=jobs.next) if jobs.next else "",
        first_href=filters.href() if filters.cursor else "",
        is_empty=not jobs.items and not filtered and not filters.cursor,
        stream_url="/events",
        last_event_id=last_event_id,
    )


def _state_links(filters: Filters) -> list[LinkView]:
    states: list[JobState] = list(get_args(JobState))
    links = [LinkView("All", filters.href(state=""), not filters.state)]
    return links + [LinkView(STATE_WORDS[s], filters.href(state=s), filters.state == s) for s in states]


def _heading(key: str, filters: Filters) -> HeadingView:
    word, first_order = SORTS[key]
    rising = filters.sort == key
    current = rising or filters.sort == f"-{key}"
    other = f"-{key}" if rising else key
    return HeadingView(
        text=word,
        href=filters.href(sort=other if current else first_order),
        direction=("ascending" if rising else "descending") if current else "",
    )


def _row(job: JobSummary, filters: Filters, now: datetime) -> RowView:
    left = seconds_left(job)
    return RowView(
        id=job.id,
        name=job.name,
        href=f"/runs/{job.id}",
        tags=[LinkView(tag, filters.href(tag=tag), tag == filters.tag) for tag in job.tags],
        state=job.state,
        state_word=STATE_WORDS[job.state],
        thumbnail=thumbnail_of(job.newest_sample) if job.newest_sample else None,
        iteration=job.iteration,
        iterations=job.iterations,
        progress=f"{show_count(job.iteration)} / {show_count(job.iterations)}",
        percent=show_percent(job.iteration / job.iterations),
        time=show_duration(left if job.state == "running" else seconds_taken(job, now)),
        time_word=_time_word(job, left),
        generator_loss=figure_of(latest_value(job, GENERATOR_LOSS)),
        discriminator_loss=figure_of(latest_value(job, DISCRIMINATOR_LOSS)),
        commit=short_commit(job.commit),
        commit_exact=job.commit or "no commit recorded",
        created=moment_of(job.created_at, now),
        reason=job.reason.message if job.reason and job.state == "failed" else "",
    )


def _time_word(job: JobSummary, left: float | None) -> str:
    if job.state == "running":
        return "" if left is None else "left"
    return "taken" if job.started_at else ""
