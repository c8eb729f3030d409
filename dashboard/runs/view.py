"""The list of runs, as a table and as a gallery, below those that train now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args

from api.curves.best import Best, find_judge
from api.events.findings.schemas import VerdictRead
from api.jobs.schemas import GroupsRead, JobPage, JobSummary
from api.jobs.search import read_metric
from api.server.http.schemas import TERMINAL_STATES, JobState
from dashboard.runs.bulk_actions import ResultView
from dashboard.runs.columns import (
    USUAL,
    VIEWS,
    Column,
    ColumnChoice,
    HeadingView,
    Listing,
    View,
    show_choices,
    show_headings,
)
from dashboard.runs.groups import GroupsView, build_groups, list_metrics
from dashboard.runs.sparklines import SparklineView, list_sparklines
from dashboard.runs.words import choose_metric, write_example
from dashboard.web.commit_links import short_commit
from dashboard.web.formats import NOTHING, show_count, show_duration, show_number
from dashboard.web.layout import (
    ORIGIN_WORDS,
    STATE_WORDS,
    Figure,
    Frame,
    LinkView,
    Moment,
    Thumbnail,
    figure_of,
    find_verdict,
    latest_value,
    moment_of,
    seconds_left,
    seconds_taken,
    show_progress,
    show_share,
    thumbnail_of,
)
from ganlib.spec.documents.differences import show_value
from ganlib.spec.paths import list_fields
from ganlib.vocabulary import (
    BETTER_WORDS,
    CLASS_COVERAGE,
    DISCRIMINATOR_LOSS,
    GENERATOR_LOSS,
    Metric,
)
from ganlib.vocabulary.losses import choose_sparklines, find_losses

ROWS = 50
# Runs that train now and are shown large above the list.
MOST_LIVE = 6
# Tags of a row; the others are counted.
MOST_TAGS = 2
# Example searches, each with its meaning.
EXAMPLES = (
    ("digits", "a part of the name or of a tag"),
    ("tag:sweep state:failed", "a whole tag, a state"),
    ("verdict:serious finding:mode_collapse", "how bad it is, what was found"),
    ("commit:9f2c recipe:winkler", "the commit's first digits, a paper"),
    ("losses.generator=hinge", "a field of the spec"),
    ("origin:own config.learning_rate<0.001", "a loop of your own, a field of its config"),
    ("techniques=feature_matching", "any element of a list"),
    (f"{CLASS_COVERAGE.name}<0.5", "a metric's newest value"),
    ('"val loss"<2', "one whose name is not group/name"),
    ("from:7kq2", "made from the run with this id"),
    ("-tag:old", "without"),
)
OPERATORS = "= != < <= > >= and ~ (contains)"


@dataclass(frozen=True)
class ListData:
    """Data of the page: jobs, fields of their specs by job, and the problem of the search, if it has one.

    bests: of what judges each job. running: jobs that train now, where they are shown. groups: of the jobs, where
    groups are asked for. counts: of jobs by state.
    """

    jobs: JobPage
    fields: Mapping[str, Mapping[str, Any]]
    last_event_id: int
    problem: str = ""
    bests: Mapping[str, Best] = field(default_factory=dict)
    running: Sequence[JobSummary] = ()
    groups: GroupsRead | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class GridView:
    """A run's newest grid, whole."""

    url: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class LossView:
    """A player's newest loss, and the metric that it is."""

    metric: str
    value: Figure


@dataclass(frozen=True)
class ScoreView:
    """The best value of what judges a run, what that is, and more of it for those who point at it."""

    metric: Metric
    value: Figure
    text: str


@dataclass(frozen=True)
class StateLink:
    """A filter by state, and the number of runs that it finds; empty where that is not counted."""

    text: str
    href: str
    current: bool
    count: str


@dataclass(frozen=True)
class RowView:
    """One run of the list. `extra`: its metrics and fields by column. more_tags: those that are not shown."""

    id: str
    name: str
    href: str
    tags: list[LinkView]
    more_tags: Sequence[str]
    state: JobState
    state_word: str
    score: ScoreView | None
    thumbnail: Thumbnail | None
    grid: GridView | None
    no_grid: str
    iteration: int
    iterations: int
    progress: str
    percent: str
    time: str
    time_word: str
    origin: str
    generator_loss: LossView
    discriminator_loss: LossView
    sparklines: list[SparklineView]
    verdict: VerdictRead | None
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
    groups: GroupsView | None
    group: str
    ungroup_href: str
    kept_for_group: dict[str, str]
    fields: Sequence[str]
    placeholder: str
    others_placeholder: str
    live: list[RowView]
    more_live: str
    has_live: bool
    is_gallery: bool
    is_usual: bool
    has_health: bool
    columns: list[Column]
    headings: list[HeadingView]
    choices: list[ColumnChoice]
    others: str
    back: str
    states: list[StateLink]
    origins: list[LinkView]
    views: list[tuple[View, bool]]
    way_back: str
    q: str
    kept: dict[str, str]
    problem: str
    examples: Sequence[tuple[str, str]]
    operators: str
    nothing: str
    next_href: str
    first_href: str
    is_empty: bool
    result: ResultView | None
    sparklines_url: str
    stream_url: str
    last_event_id: int


def build_runs_page(
    data: ListData,
    listing: Listing,
    columns: list[Column],
    frame: Frame,
    now: datetime,
    view: View = "table",
    result: ResultView | None = None,
) -> RunsPage:
    """Return the list page for one page of jobs; `result` is that of the reader's last action on some."""
    jobs = data.jobs
    sparklines = replace(listing, columns=(), view="").href("/runs/sparklines.svg")
    is_asked = bool(listing.q or listing.cursor or listing.group)
    more_live = data.counts.get("running", 0) - len(data.running)
    keys = [column.key for column in columns]
    return RunsPage(
        title="Runs",
        frame=frame,
        rows=[_row(job, listing, columns, data, now) for job in jobs.items],
        groups=build_groups(data.groups, listing, list_metrics(columns)) if data.groups else None,
        group=", ".join(listing.group),
        ungroup_href=replace(listing, group=()).href(),
        kept_for_group=replace(listing, group=()).fields() | ({"q": listing.q} if listing.q else {}),
        fields=list_fields(),
        placeholder=write_example(jobs.items),
        others_placeholder=f"{choose_metric(jobs.items)} losses.generator",
        live=[_row(job, listing, (), data, now) for job in data.running],
        more_live=f"{show_count(more_live)} more" if data.running and more_live > 0 else "",
        has_live=not is_asked,
        is_gallery=view == "gallery",
        is_usual=tuple(keys) == USUAL,
        has_health="verdict" in keys,
        columns=columns,
        headings=show_headings(columns, listing),
        choices=show_choices(columns),
        others=" ".join(column.key for column in columns if column.kind),
        back=replace(listing, columns=()).href(),
        states=_state_links(listing, data.counts),
        origins=_origin_links(listing, jobs.items),
        views=[(each, each == view) for each in VIEWS],
        way_back=replace(listing, view="").href(),
        q=listing.q,
        kept=listing.fields(),
        problem=data.problem,
        examples=EXAMPLES,
        operators=OPERATORS,
        nothing="" if data.problem or data.groups else jobs.note or f"No run has {listing.q}.",
        next_href=replace(listing, cursor=jobs.next).href() if jobs.next else "",
        first_href=replace(listing, cursor="").href() if listing.cursor else "",
        is_empty=not jobs.items and not is_asked and not data.problem,
        result=result,
        sparklines_url=f"{sparklines}{'&' if '?' in sparklines else '?'}v={data.last_event_id}",
        stream_url="/events",
        last_event_id=data.last_event_id,
    )


def _state_links(listing: Listing, counts: Mapping[str, int]) -> list[StateLink]:
    states: list[JobState] = list(get_args(JobState))
    asked = [word.removeprefix("state:") for word in listing.q.split() if word.startswith("state:")]

    def link(state: JobState | Literal[""], text: str) -> StateLink:
        count = counts.get(state, 0) if state else sum(counts.values())
        is_current = state in asked if state else not asked
        return StateLink(text, listing.with_state(state).href(), is_current, show_count(count) if counts else "")

    return [link("", "All"), *(link(state, STATE_WORDS[state]) for state in states)]


def _origin_links(listing: Listing, jobs: Sequence[JobSummary]) -> list[LinkView]:
    """Return filters by who writes a run, where no worker trains one of these runs, or one was asked for."""
    asked = [word.removeprefix("origin:") for word in listing.q.split() if word.startswith("origin:")]
    here = {*asked, *(job.origin for job in jobs)}
    if here <= {"ganlib"} and not asked:
        return []
    links = [LinkView("Any", listing.with_origin("").href(), not asked)]
    shown = [origin for origin in ORIGIN_WORDS if origin in {"ganlib", *here}]
    return links + [
        LinkView(ORIGIN_WORDS[origin] or "workers", listing.with_origin(origin).href(), origin in asked)
        for origin in shown
    ]


def _row(job: JobSummary, listing: Listing, columns: Sequence[Column], data: ListData, now: datetime) -> RowView:
    fields = data.fields.get(job.id, {})
    left = seconds_left(job)
    losses = {player: name for name, player in find_losses(job.latest).items()}
    return RowView(
        id=job.id,
        name=job.name,
        href=f"/runs/{job.id}",
        tags=[LinkView(tag, listing.with_tag(tag).href(), listing.has_tag(tag)) for tag in job.tags[:MOST_TAGS]],
        more_tags=job.tags[MOST_TAGS:],
        state=job.state,
        state_word=STATE_WORDS[job.state],
        score=_score(job, data.bests.get(job.id)),
        thumbnail=thumbnail_of(job.newest_sample) if job.newest_sample else None,
        grid=_grid(job),
        no_grid="No grid" if job.state in TERMINAL_STATES else "No grid yet",
        iteration=job.iteration,
        iterations=job.iterations,
        progress=show_progress(job),
        percent=show_share(job),
        time=show_duration(left if job.state == "running" and job.iterations else seconds_taken(job, now)),
        time_word=_time_word(job, left),
        origin=ORIGIN_WORDS[job.origin],
        generator_loss=_loss(job, losses.get("generator", GENERATOR_LOSS.name)),
        discriminator_loss=_loss(job, losses.get("discriminator", DISCRIMINATOR_LOSS.name)),
        sparklines=list_sparklines(choose_sparklines(job.latest)),
        verdict=find_verdict(job),
        attempt=job.attempt,
        commit=short_commit(job.commit),
        commit_exact=job.commit or "no commit recorded",
        created=moment_of(job.created_at, now),
        reason=job.reason.message if job.reason and job.state == "failed" else "",
        extra={column.key: _extra(column, job, fields) for column in columns if column.kind},
    )


def _score(job: JobSummary, best: Best | None) -> ScoreView | None:
    metric = find_judge(job.latest)
    if metric is None or best is None:
        return None
    value, iteration = best
    return ScoreView(
        metric,
        figure_of(value),
        f"{metric.label} {show_number(value)} at iteration {show_count(iteration)}; {BETTER_WORDS[metric.better]}",
    )


def _loss(job: JobSummary, metric: str) -> LossView:
    return LossView(metric, figure_of(latest_value(job, metric)))


def _grid(job: JobSummary) -> GridView | None:
    sample = job.newest_sample
    if sample is None:
        return None
    alt = f"Samples of {job.name} at iteration {show_count(sample.iteration)}"
    return GridView(sample.url, alt, sample.columns * sample.cell_width, sample.rows * sample.cell_height)


def _extra(column: Column, job: JobSummary, fields: Mapping[str, Any]) -> Figure:
    if column.kind == "metric":
        return figure_of(latest_value(job, read_metric(column.key)))
    value = fields.get(column.key)
    return Figure(show_value(value), NOTHING if value is None else str(value))


def _time_word(job: JobSummary, left: float | None) -> str:
    if job.state == "running":
        return "so far" if not job.iterations else "" if left is None else "left"
    return "taken" if job.started_at else ""
