"""The list of runs, as a table and as a gallery, and its sparklines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args
from xml.sax.saxutils import quoteattr

from api.curves.points import Stretch
from api.events.findings.schemas import VerdictRead
from api.jobs.schemas import JobSummary
from api.jobs.search import read_metric
from api.server.http.schemas import TERMINAL_STATES, JobState, Page
from dashboard.runs.bulk_actions import ResultView
from dashboard.runs.columns import VIEWS, Column, ColumnChoice, HeadingView, Listing, show_choices, show_headings
from dashboard.web.commit_links import short_commit
from dashboard.web.formats import NOTHING, show_count, show_duration
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
from dashboard.web.specs import show_value
from ganlib.vocabulary import CLASS_COVERAGE, DISCRIMINATOR_LOSS, GENERATOR_LOSS, Player
from ganlib.vocabulary.losses import choose_sparklines, find_losses

ROWS = 50
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
    """Data of the page: jobs, fields of their specs by job, and the problem of the search, if it has one."""

    jobs: Page[JobSummary]
    fields: Mapping[str, Mapping[str, Any]]
    last_event_id: int
    problem: str = ""


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
class SparklineView:
    """A small curve of a row. symbol: begins its name in the file of all sparklines."""

    metric: str
    player: Player
    symbol: str


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
    is_gallery: bool
    columns: list[Column]
    headings: list[HeadingView]
    choices: list[ColumnChoice]
    others: str
    back: str
    states: list[LinkView]
    origins: list[LinkView]
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
    result: ResultView | None = None,
) -> RunsPage:
    """Return the list page for one page of jobs; `result` is that of the reader's last action on some."""
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
        origins=_origin_links(listing, jobs.items),
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
        result=result,
        sparklines_url=f"{sparklines}{'&' if '?' in sparklines else '?'}v={data.last_event_id}",
        stream_url="/events",
        last_event_id=data.last_event_id,
    )


def _state_links(listing: Listing) -> list[LinkView]:
    states: list[JobState] = list(get_args(JobState))
    asked = [word.removeprefix("state:") for word in listing.q.split() if word.startswith("state:")]
    links = [LinkView("All", listing.with_state("").href(), not asked)]
    return links + [LinkView(STATE_WORDS[s], listing.with_state(s).href(), s in asked) for s in states]


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


def _row(
    job: JobSummary, listing: Listing, columns: Sequence[Column], fields: Mapping[str, Any], now: datetime
) -> RowView:
    left = seconds_left(job)
    losses = {player: name for name, player in find_losses(job.latest).items()}
    return RowView(
        id=job.id,
        name=job.name,
        href=f"/runs/{job.id}",
        tags=[LinkView(tag, listing.with_tag(tag).href(), listing.has_tag(tag)) for tag in job.tags],
        state=job.state,
        state_word=STATE_WORDS[job.state],
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


SPARK_WIDTH, SPARK_HEIGHT = 120, 28
# Columns of a sparkline.
SPARK_COLUMNS = 60
# The share of the values on either side that counts as spikes and is cut off.
SPARK_CUT = 0.02
# The opacity of the band from the lowest to the highest values.
SPARK_BAND = 0.25


def list_sparklines(losses: Mapping[str, Player]) -> list[SparklineView]:
    """Return a run's sparklines: the players' losses, or the first and second one of nobody's."""
    return [
        SparklineView(name, player, player[:1] or "mn"[place])
        for place, (name, player) in enumerate(losses.items())
    ]


def draw_sparklines(
    outlines: Mapping[str, Mapping[str, Sequence[Stretch]]],
    losses: Mapping[str, Mapping[str, Player]],
    lengths: Mapping[str, int],
) -> str:
    """Return the losses of many runs as one SVG document: a symbol for each curve, without colours of its own.

    A curve is the line of its means in a band from its lowest to its highest values. lengths: of the runs' axes.
    """
    symbols = [
        _write_symbol(f"{each.symbol}-{job_id}", *drawn[each.metric])
        for job_id, curves in outlines.items()
        if (drawn := _draw_sparkline(curves, lengths.get(job_id, 1)))
        for each in list_sparklines(losses[job_id])
        if each.metric in drawn
    ]
    return f"<svg xmlns='http://www.w3.org/2000/svg'>{''.join(symbols)}</svg>"


def _write_symbol(name: str, line: str, band: str) -> str:
    return (
        f"<symbol id={quoteattr(name)} viewBox='0 0 {SPARK_WIDTH} {SPARK_HEIGHT}' preserveAspectRatio='none'>"
        f"<path d='{line}' fill='none' vector-effect='non-scaling-stroke'/>"
        f"<path d='{band}' fill='currentColor' fill-opacity='{SPARK_BAND}' stroke='none'/></symbol>"
    )


def _draw_sparkline(curves: Mapping[str, Sequence[Stretch]], length: int) -> dict[str, tuple[str, str]]:
    bounds = sorted(value for curve in curves.values() for part in curve for value in (part.low, part.high))
    if not bounds:
        return {}
    cut = int(len(bounds) * SPARK_CUT)
    low, high = bounds[cut], bounds[-1 - cut]
    columns = {name: _thin(curve, length) for name, curve in curves.items()}
    return {name: _draw_curve(each, low, high) for name, each in columns.items() if each}


def _thin(curve: Sequence[Stretch], length: int) -> list[tuple[float, float, float, float]]:
    """Return (position from 0 to 1, lowest, highest, mean) for each column of the picture that has values."""
    columns: dict[int, list[Stretch]] = {}
    for part in curve:
        middle = part.first / 2 + part.last / 2
        columns.setdefault(min(SPARK_COLUMNS - 1, int(middle / length * SPARK_COLUMNS)), []).append(part)
    return [
        (
            (column + 0.5) / SPARK_COLUMNS,
            min(part.low for part in parts),
            max(part.high for part in parts),
            sum(part.mean / len(parts) for part in parts),
        )
        for column, parts in sorted(columns.items())
    ]


def _draw_curve(columns: Sequence[tuple[float, float, float, float]], low: float, high: float) -> tuple[str, str]:
    """Return the path through the means, and around the band from the lowest to the highest values."""
    # Halved first: the range may be wider than the largest float.
    reach = (high / 2 - low / 2) or 1.0

    def place(position: float, value: float) -> str:
        up = min(1.0, max(0.0, (value / 2 - low / 2) / reach))
        return f"{position * SPARK_WIDTH:.1f},{1 + (SPARK_HEIGHT - 2) * (1 - up):.1f}"

    means = [place(position, mean) for position, _, _, mean in columns]
    tops = [place(position, highest) for position, _, highest, _ in columns]
    bottoms = [place(position, lowest) for position, lowest, _, _ in columns]
    # A single point is a line to itself, which its round end shows as a dot.
    line = " ".join(means if len(means) > 1 else 2 * means)
    return f"M{line}", f"M{' '.join([*tops, *bottoms[::-1]])}Z"
