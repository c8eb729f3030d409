"""The page of figures and movies: a form, a preview, and the files to save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlencode

from api.jobs.schemas import JobSummary
from api.samples.queries import GridRow
from dashboard.figures.requests import CurvesRequest, HeatMapsRequest, MovieRequest, TimelinesRequest, write_query
from dashboard.timeline.sheet_layout import evenly_spaced
from dashboard.web.formats import show_count
from dashboard.web.layout import STATE_WORDS, Frame, LinkView, Thumbnail, corner_of, show_progress
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS, Metric, find_metric

Kind = Literal["timelines", "curves", "heat-maps", "movie"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KIND_WORDS = {"timelines": "Timelines", "curves": "Curves", "heat-maps": "Heat maps", "movie": "Movie"}
NEEDED: dict[Kind, Literal["grids", "curves"]] = {
    "timelines": "grids",
    "curves": "curves",
    "heat-maps": "curves",
    "movie": "grids",
}
# Grids of which columns are chosen by their pictures.
MOST_COLUMNS = 24
PREVIEW_DPI, PREVIEW_FRAMES, PREVIEW_SIZE = 110, 30, 224
LABELLINGS = {
    "name": "the run's name",
    "changes": "the differences of their specs",
    "id": "the run's id",
    "none": "none",
}
Asked = TimelinesRequest | CurvesRequest | HeatMapsRequest | MovieRequest


@dataclass(frozen=True)
class ChoiceView:
    """A run to choose; `label` is its name in the figure, if the reader gave one.

    is_barred: it has nothing to draw, as `detail` says, and cannot be chosen; a run that is chosen already is not.
    """

    id: str
    name: str
    detail: str
    href: str
    is_chosen: bool
    is_barred: bool
    label: str


@dataclass(frozen=True)
class ColumnView:
    """A grid that may be a column: its first cells, whether it is one, and the address with it or without it."""

    iteration: int
    text: str
    thumbnail: Thumbnail
    href: str
    is_chosen: bool


@dataclass(frozen=True)
class OptionView:
    """One choice of a list."""

    value: str
    text: str
    is_chosen: bool


@dataclass(frozen=True)
class MetricChoice:
    """A metric that can be drawn."""

    metric: Metric
    is_chosen: bool


@dataclass(frozen=True)
class DownloadView:
    """A file to save."""

    text: str
    detail: str
    href: str


@dataclass(frozen=True)
class FiguresPage:
    """The form as it was filled in; `fields` holds texts by name, empty for a default.

    hidden: what was chosen for the other kinds, so that it is there when the reader goes back to one of them.
    """

    title: str
    frame: Frame
    kind: Kind
    kinds: list[LinkView]
    hidden: list[tuple[str, str]]
    runs: list[ChoiceView]
    is_one_run: bool
    find: str
    is_empty: bool
    fields: dict[str, str]
    metrics: list[MetricChoice]
    labellings: list[OptionView]
    captions: list[OptionView]
    values: list[OptionView]
    scales: dict[str, list[OptionView]]
    preview_url: str
    preview_alt: str
    downloads: list[DownloadView]
    share_address: str
    problems: list[str]
    note: str
    columns: list[ColumnView]
    skeleton: Sequence[int]
    drawn_columns: int
    caption: str
    latex: str


@dataclass(frozen=True)
class FiguresData:
    """Data of the page: the runs to choose from, the chosen first, and the figure that is requested.

    chosen: the runs, that of a movie first; selection: the same in the order in which they were chosen. fields: of
    the address, for all kinds; hidden: those that the form of this kind has no input for. grids: of the
    longest timeline, to choose columns among; iterations: the columns that are drawn.
    values: heat maps that there are, in words.
    """

    kind: Kind
    jobs: Sequence[JobSummary]
    chosen: Sequence[str]
    selection: Sequence[str]
    asked: Asked | None
    given: dict[str, str]
    fields: Sequence[tuple[str, str]]
    hidden: Sequence[tuple[str, str]]
    find: str
    problems: Sequence[str]
    note: str
    is_drawable: bool
    grids: Sequence[GridRow] = ()
    iterations: Sequence[int] = ()
    caption: str = ""
    latex: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


def build_figures_page(data: FiguresData, frame: Frame) -> FiguresPage:
    """Return the page."""
    shown = data.asked if data.is_drawable else None
    stem = _address(data)
    return FiguresPage(
        title="Figures",
        frame=frame,
        kind=data.kind,
        kinds=[LinkView(KIND_WORDS[kind], _kind_href(kind, data), kind == data.kind) for kind in KINDS],
        hidden=[*data.hidden, *_beside(data)],
        runs=[_choice(job, data) for job in data.jobs],
        is_one_run=data.kind == "movie",
        find=data.find,
        is_empty=not data.jobs and not data.find,
        fields=data.given,
        metrics=_metrics(data),
        labellings=_options(LABELLINGS, data.given.get("labels", "name")),
        captions=_options(
            {"iteration": "the iteration", "none": "nothing"}, data.given.get("caption", "iteration")
        ),
        values=_options(dict(data.values), data.given.get("values", next(iter(data.values), ""))),
        scales={
            axis: _options({"linear": "linear", "log": "logarithmic"}, data.given.get(axis, "")) for axis in "xy"
        },
        preview_url=_preview(stem, shown) if shown else "",
        preview_alt=_alt(data),
        share_address=_share(stem, shown) if shown else "",
        downloads=_downloads(stem, shown) if shown else [],
        problems=list(data.problems),
        note=data.note,
        columns=_columns(data),
        skeleton=range((len(data.chosen) or 1) * (len(data.iterations) or 1) if data.kind == "timelines" else 1),
        drawn_columns=len(data.iterations) or 1,
        caption=data.caption if shown else "",
        latex=data.latex if shown else "",
    )


def known_metrics(jobs: Sequence[JobSummary], chosen: Sequence[str]) -> list[str]:
    """Return the metrics of the chosen runs, the losses first."""
    names = {name for job in jobs if job.id in chosen for name in job.latest}
    losses = [name for name in (GENERATOR_LOSS.name, DISCRIMINATOR_LOSS.name) if name in names]
    return losses + sorted(names.difference(losses))


def _address(data: FiguresData) -> str:
    if data.kind == "movie":
        return f"/runs/{data.chosen[0]}/movie" if data.chosen else ""
    return f"/figures/{data.kind}"


def _kind_href(kind: Kind, data: FiguresData) -> str:
    """Return the address of another kind of figure of the same runs, with all that was chosen for any kind."""
    runs = data.chosen if kind == data.kind else data.selection
    find = [("find", data.find)] if data.find else []
    fields = [("kind", kind), *(("run", run) for run in runs), *find, *data.fields]
    return f"/figures?{urlencode(fields, safe='/')}"


def _beside(data: FiguresData) -> list[tuple[str, str]]:
    """Return the whole selection where the form shows one run alone."""
    return [("beside", run) for run in data.selection] if data.kind == "movie" and len(data.selection) > 1 else []


def _choice(job: JobSummary, data: FiguresData) -> ChoiceView:
    words = f"{STATE_WORDS[job.state].lower()} at {show_progress(job)}"
    needed = NEEDED[data.kind]
    has = job.newest_sample is not None if needed == "grids" else bool(job.latest)
    detail = words if has else f"no {needed} yet" if job.state in ("queued", "running") else f"it has no {needed}"
    shown = data.chosen[:1] if data.kind == "movie" else data.chosen
    is_chosen, label = job.id in shown, data.given.get(f"label.{job.id}", "")
    return ChoiceView(job.id, job.name, detail, f"/runs/{job.id}", is_chosen, not has and not is_chosen, label)


def _options(words: dict[str, str], chosen: str) -> list[OptionView]:
    return [OptionView(value, text, value == chosen) for value, text in words.items()]


def _metrics(data: FiguresData) -> list[MetricChoice]:
    if data.kind != "curves":
        return []
    asked = data.asked.metric if isinstance(data.asked, CurvesRequest) else []
    wanted = asked or [GENERATOR_LOSS.name, DISCRIMINATOR_LOSS.name]
    return [MetricChoice(find_metric(name), name in wanted) for name in known_metrics(data.jobs, data.chosen)]


def _columns(data: FiguresData) -> list[ColumnView]:
    """Return grids of the longest timeline, evenly spread, and those that are drawn."""
    spread = (
        {data.grids[index].iteration for index in evenly_spaced(len(data.grids), MOST_COLUMNS)}
        if data.grids
        else set()
    )
    chosen = set(data.iterations)

    def column(grid: GridRow) -> ColumnView:
        wanted = sorted(chosen ^ {grid.iteration})
        fields = [(name, value) for name, value in data.fields if name != "iteration"]
        fields = [*fields, *(("iteration", str(each)) for each in wanted)]
        runs = [("kind", data.kind), *(("run", run) for run in data.chosen)]
        return ColumnView(
            grid.iteration,
            show_count(grid.iteration),
            corner_of(grid),
            f"/figures?{urlencode([*runs, *fields], safe='/')}",
            grid.iteration in chosen,
        )

    return [column(grid) for grid in data.grids if grid.iteration in spread | chosen]


def _preview(stem: str, asked: Asked) -> str:
    if isinstance(asked, MovieRequest):
        frames, size = min(asked.frames, PREVIEW_FRAMES), min(asked.size, PREVIEW_SIZE)
        return f"{stem}.gif?{write_query(asked, frames=frames, size=size)}"
    return f"{stem}.png?{write_query(asked, dpi=PREVIEW_DPI)}"


def _share(stem: str, asked: Asked) -> str:
    """Return the address of the file that a browser shows."""
    return f"{stem}.{'gif' if isinstance(asked, MovieRequest) else 'png'}?{write_query(asked)}"


def _alt(data: FiguresData) -> str:
    shown = data.chosen[:1] if data.kind == "movie" else data.chosen
    names = ", ".join(job.name for job in data.jobs if job.id in shown)
    return f"Preview: {KIND_WORDS[data.kind].lower()} of {names}"


def _downloads(stem: str, asked: Asked) -> list[DownloadView]:
    query = write_query(asked)
    if isinstance(asked, MovieRequest):
        words = {"mp4": ("MP4", "for slides"), "gif": ("GIF", "for pages"), "png": ("APNG", "every pixel exact")}
    else:
        words = {
            "pdf": ("PDF", "for papers"),
            "svg": ("SVG", "to edit"),
            "png": ("PNG", f"{asked.dpi} dpi or more"),
        }
    files = [DownloadView(text, detail, f"{stem}.{form}?{query}") for form, (text, detail) in words.items()]
    if isinstance(asked, CurvesRequest):
        table = urlencode(
            [*(("run", run) for run in asked.run), *(("metric", name) for name in asked.metric)], safe="/"
        )
        files.append(DownloadView("CSV", "every point", f"{stem}.csv?{table}"))
    return files
