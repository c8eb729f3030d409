"""Makes the plan of a figure from a request and the database, and labels its runs."""

import hashlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from sqlalchemy.orm import Session

from api import find_version
from api.artifacts.storage import Blobs
from api.curves import queries as curve_queries
from api.curves.extractors import NEVER_COMPARED, list_judged, read_extractors, share_extractor
from api.errors import ArtifactNotFound, FigureRefused, FigureTooLarge
from api.jobs import queries as job_queries
from api.jobs import serializers
from api.samples.queries import GridRow, list_grid_rows
from api.server.database.models import Job
from api.server.http.schemas import TERMINAL_STATES
from dashboard.figures.drawing.plans import (
    MAX_GRID_PIXELS,
    MAX_POINTS,
    About,
    Crop,
    CurvesPlan,
    Grid,
    ImageForm,
    Line,
    MovieForm,
    MoviePlan,
    Page,
    Plan,
    Shot,
    TimelineRow,
    TimelinesPlan,
    cells_size,
)
from dashboard.figures.drawing.process import pack_line
from dashboard.figures.requests import CurvesRequest, MovieRequest, TimelinesRequest
from dashboard.timeline.sheet_layout import evenly_spaced
from dashboard.web.specs import NAME_FIELDS
from ganlib.spec.documents.differences import show_value
from ganlib.spec.documents.suggestions import find_near
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS, find_metric
from ganlib.vocabulary.losses import choose_drawn

DEFAULT_COLUMNS = 5
MAX_CHANGES = 4
DEFAULT_METRICS = (GENERATOR_LOSS.name, DISCRIMINATOR_LOSS.name)
ReadFiles = Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class PlannedFigure:
    """A figure to draw: its plan, a reader of its files, a digest of its content, and a file name.

    left_out: the part of the request that the figure does not show, in words, or empty.
    """

    plan: Plan
    read_files: ReadFiles
    digest: str
    name: str
    left_out: str = ""


def plan_timelines(session: Session, blobs: Blobs, asked: TimelinesRequest, form: ImageForm) -> PlannedFigure:
    """Plan timelines beside each other; raises JobNotFound, FigureRefused and FigureTooLarge."""
    jobs = find_jobs(session, asked.run)
    grids = [list_grid_rows(session, job.id) for job in jobs]
    if not any(grids):
        raise FigureRefused("None of these runs has a sample grid yet.")
    iterations = sorted(set(asked.iteration)) or _spread(grids)
    blanks = [tuple(_explain_blank(job, iteration) for iteration in iterations) for job in jobs]
    shown = [
        [
            None if blank else _newest_until(timeline, iteration)
            for iteration, blank in zip(iterations, own, strict=True)
        ]
        for timeline, own in zip(grids, blanks, strict=True)
    ]
    files = _Files()
    rows = [
        TimelineRow(label, tuple(files.add(grid) for grid in row), own)
        for label, row, own in zip(label_runs(jobs, asked.labels, asked.label), shown, blanks, strict=True)
    ]
    if not files.names:
        raise FigureRefused(f"None of these runs has a grid at or before iteration {iterations[-1]:,}.")
    crop = _crop(asked, [grid for row in shown for grid in row if grid])
    _check_pixels((shot for row in rows for shot in row.shots if shot), crop)
    curves, lines = _plan_below(session, asked, jobs, form, len(files.names))
    used = [[grid.iteration for grid in row if grid] for row in shown]
    about = describe_figure("Timelines", "timelines", jobs, [{"iterations": sorted(set(seen))} for seen in used])
    plan = TimelinesPlan(Page(form, asked.width, asked.dpi), about, tuple(iterations), tuple(rows), crop, curves)
    digests = [*files.names, *(hashlib.sha256(data).hexdigest() for data in lines)]
    return plan_figure(plan, digests, lambda: chain(files.reader(blobs)(), lines), "timelines", jobs)


def _plan_below(
    session: Session, asked: TimelinesRequest, jobs: Sequence[Job], form: ImageForm, first: int
) -> tuple[CurvesPlan | None, list[bytes]]:
    """Plan the curves below timelines; first: the number of their first file."""
    if not asked.below:
        return None, []
    metrics = tuple(dict.fromkeys(asked.below))
    lines, files = _read_lines(session, jobs, metrics, first)
    labels = label_runs(jobs, "name" if asked.labels == "none" else asked.labels, asked.label)
    about = describe_figure("Curves", "curves", jobs, [{} for _ in jobs])
    page = Page(form, asked.width, asked.dpi)
    return CurvesPlan(page, about, tuple(labels), metrics, tuple(lines), 0.0, "linear", "linear"), files


def plan_movie(session: Session, blobs: Blobs, job_id: str, asked: MovieRequest, form: MovieForm) -> PlannedFigure:
    """Plan a movie; raises JobNotFound and FigureRefused."""
    job = job_queries.get_job(session, job_id)
    grids = thin_out(list_grid_rows(session, job.id, asked.first or 0, asked.last), asked.every)
    if not grids:
        raise FigureRefused("The run has no sample grid there yet.")
    kept = [grids[index] for index in evenly_spaced(len(grids), asked.frames)] if asked.frames > 1 else grids[:1]
    files = _Files()
    shots = tuple(files.add(grid) for grid in kept)
    crop = _crop(asked, kept)
    counts = {"frames": len(kept), "grids": len(grids), "from": kept[0].iteration, "to": kept[-1].iteration}
    about = describe_figure("Timeline", "movie", [job], [counts])
    known = tuple(shot for shot in shots if shot)
    plan = MoviePlan(form, about, known, crop, asked.fps, asked.size, asked.caption == "iteration")
    left_out = f"{len(kept):,} of {len(grids):,} grids, evenly spread" if len(kept) < len(grids) else ""
    return plan_figure(plan, files.names, files.reader(blobs), "timeline", [job], left_out)


def plan_curves(session: Session, asked: CurvesRequest, form: ImageForm) -> PlannedFigure:
    """Plan curves; raises JobNotFound, FigureRefused and FigureTooLarge."""
    jobs = find_jobs(session, asked.run)
    metrics = tuple(dict.fromkeys(asked.metric)) or default_metrics(session, jobs)
    lines, files = _read_lines(session, jobs, metrics)
    about = describe_figure("Curves", "curves", jobs, [{"metrics": list(metrics)} for _ in jobs])
    plan = CurvesPlan(
        Page(form, asked.width, asked.dpi), about, tuple(label_runs(jobs, asked.labels, asked.label)), metrics,
        tuple(lines), asked.smoothing, asked.x, asked.y,
    )  # fmt: skip
    return plan_figure(plan, [hashlib.sha256(data).hexdigest() for data in files], lambda: files, "curves", jobs)


def _read_lines(
    session: Session, jobs: Sequence[Job], metrics: Sequence[str], first: int = 0
) -> tuple[list[Line], list[bytes]]:
    """Return the lines of these metrics and their files; raises FigureRefused and FigureTooLarge."""
    lines: list[Line] = []
    files: list[bytes] = []
    points = 0
    for index, job in enumerate(jobs):
        listing = curve_queries.list_curves(session, job.id, metrics)
        for curve in curve_queries.iterate_curves(session, listing):
            points += len(curve.points)
            if points > MAX_POINTS:
                raise FigureTooLarge(
                    f"These curves have more than {MAX_POINTS:,} points; ask for fewer runs or metrics."
                )
            lines.append(Line(index, curve.name, first + len(files)))
            files.append(pack_line(curve.points))
    refuse_unknown_metrics(session, jobs, metrics, {line.metric for line in lines})
    refuse_other_extractors(session, lines, jobs)
    return lines, files


def default_metrics(session: Session, jobs: Sequence[Job]) -> tuple[str, ...]:
    """Return both losses, or what is drawn first of loops that call theirs otherwise."""
    names = {name for job in serializers.job_summaries(session, jobs) for name in job.latest}
    if not names or set(DEFAULT_METRICS) & names:
        return DEFAULT_METRICS
    return tuple(choose_drawn(names))


def find_jobs(session: Session, job_ids: Sequence[str]) -> list[Job]:
    """Return the jobs in the order in which they were named, each once; raises JobNotFound, JobAmbiguous."""
    found = dict.fromkeys(job_queries.get_job_id(session, job_id) for job_id in job_ids)
    return [job_queries.get_job(session, job_id) for job_id in found]


def refuse_unknown_metrics(
    session: Session, jobs: Sequence[Job], metrics: Sequence[str], known_names: Iterable[str]
) -> None:
    """Raise FigureRefused for a metric that no run has; a metric of some runs is drawn for those."""
    missing = [name for name in metrics if name not in set(known_names)]
    if not missing:
        return
    known = sorted({name for job in serializers.job_summaries(session, jobs) for name in job.latest})
    near = find_near(missing[0], known)
    meant = f" Did you mean {near}?" if near else ""
    there_are = f"there are: {', '.join(known)}" if known else "they have none yet"
    raise FigureRefused(
        f"None of these runs has a metric {missing[0]}; {there_are}."[:2000] + meant, metrics=known
    )


def refuse_other_extractors(session: Session, lines: Sequence[Line], jobs: Sequence[Job]) -> None:
    """Raise FigureRefused where one chart would show evaluation metrics of runs that were judged differently."""
    for metric in list_judged(dict.fromkeys(line.metric for line in lines)):
        drawn = [jobs[line.run].id for line in lines if line.metric == metric]
        if not share_extractor(list(read_extractors(session, drawn).values())):
            raise FigureRefused(f"{find_metric(metric).label} of these runs is {NEVER_COMPARED}.")


def thin_out(grids: Sequence[GridRow], every: int) -> list[GridRow]:
    """Return the grids that are at least so many iterations apart, from the first on."""
    kept: list[GridRow] = []
    for grid in grids:
        if not kept or grid.iteration >= kept[-1].iteration + every:
            kept.append(grid)
    return kept


def label_runs(jobs: Sequence[Job], labelling: str, given: Mapping[str, str]) -> list[str]:
    """Return a label for each run, of one or more lines; one that is given for its id wins."""
    match labelling:
        case "name":
            labels = _distinct_names(jobs)
        case "changes":
            labels = describe_changes(jobs)
        case "id":
            labels = [job.id for job in jobs]
        case _:
            labels = ["" for _ in jobs]
    return [given.get(job.id, "").strip() or label for job, label in zip(jobs, labels, strict=True)]


def describe_changes(jobs: Sequence[Job]) -> list[str]:
    """Return the fields in which the runs' specs differ, a line each: `learning_rate 0.0002`.

    Runs whose specs are alike in all but their names keep these.
    """
    flat = [flatten_spec(job.spec) for job in jobs]
    paths = list(dict.fromkeys(path for fields in flat for path in fields))
    changed = [path for path in paths if len({repr(fields.get(path)) for fields in flat}) > 1]
    if not changed:
        return _distinct_names(jobs)
    words = shorten_paths(changed)
    labels = []
    for fields in flat:
        lines = [f"{words[path]} {_show_value(fields.get(path))}" for path in changed[:MAX_CHANGES]]
        more = len(changed) - MAX_CHANGES
        labels.append("\n".join([*lines, f"and {more} more"] if more > 0 else lines))
    return labels


def flatten_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec's values by dotted path, without names; a list is one value."""
    flat: dict[str, Any] = {}

    def add(path: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, below in value.items():
                add(f"{path}.{name}" if path else name, below)
        elif path not in NAME_FIELDS:
            flat[path] = value

    add("", spec)
    return flat


def shorten_paths(paths: Sequence[str]) -> dict[str, str]:
    """Return the shortest end of each path that no other path has."""
    short = {}
    for path in paths:
        parts = path.split(".")
        ends = [".".join(parts[-length:]) for length in range(1, len(parts) + 1)]
        others = [other for other in paths if other != path]
        short[path] = next(
            (end for end in ends if not any(other == end or other.endswith(f".{end}") for other in others)), path
        )
    return short


def _show_value(value: Any) -> str:
    """Return a spec's value in a word or two: a long list by its length."""
    return f"({len(value)})" if isinstance(value, list) and len(value) > 3 else show_value(value)


def _distinct_names(jobs: Sequence[Job]) -> list[str]:
    counts = Counter(job.name for job in jobs)
    return [job.name if counts[job.name] == 1 else f"{job.name}\n{job.id}" for job in jobs]


class _Files:
    """The files of grids, each once, by their numbers in the plan."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, grid: GridRow | None) -> Shot | None:
        if grid is None:
            return None
        if grid.sha256 not in self._numbers:
            self._numbers[grid.sha256] = len(self.names)
            self.names.append(grid.sha256)
        return Shot(grid.iteration, _layout(grid), self._numbers[grid.sha256])

    def reader(self, blobs: Blobs) -> ReadFiles:
        def read() -> Iterable[bytes]:
            for name in self.names:
                try:
                    with blobs.open(name) as file:
                        yield file.read()
                except FileNotFoundError:
                    raise ArtifactNotFound(sha256=name) from None

        return read


def _layout(grid: GridRow) -> Grid:
    return Grid(grid.rows, grid.columns, grid.cell_width, grid.cell_height)


def _spread(grids: Sequence[Sequence[GridRow]]) -> list[int]:
    """Return some iterations of the longest timeline, from its first to its last."""
    longest = max(grids, key=lambda timeline: timeline[-1].iteration if timeline else -1)
    return [longest[index].iteration for index in evenly_spaced(len(longest), DEFAULT_COLUMNS)]


def _newest_until(grids: Sequence[GridRow], iteration: int) -> GridRow | None:
    index = bisect_right(grids, iteration, key=lambda grid: grid.iteration)
    return grids[index - 1] if index else None


def _explain_blank(job: Job, iteration: int) -> str:
    """Return why a run has no grid here: it had ended, and its last grid would look like one of this iteration."""
    is_over = job.state in TERMINAL_STATES and iteration > job.iteration
    return f"ended at {job.iteration:,}" if is_over else ""


def _crop(asked: TimelinesRequest | MovieRequest, grids: Sequence[GridRow]) -> Crop | None:
    """Return the same cells for all grids: of those with the fewest rows and columns."""
    smallest = Grid(min(grid.rows for grid in grids), min(grid.columns for grid in grids), 1, 1)
    is_alike = all((grid.rows, grid.columns) == (smallest.rows, smallest.columns) for grid in grids)
    try:
        crop = asked.crop(smallest)
    except ValueError as error:
        raise FigureRefused(str(error)) from None
    if crop is None and not is_alike and (asked.rows or asked.columns):
        cells = tuple((row, column) for row in range(smallest.rows) for column in range(smallest.columns))
        return Crop(cells, smallest.columns)
    return crop


def _check_pixels(shots: Iterable[Shot], crop: Crop | None) -> None:
    sizes = [cells_size(shot.grid, crop) for shot in shots]
    pixels = sum(width * height for width, height in sizes)
    if pixels > MAX_GRID_PIXELS:
        raise FigureTooLarge(
            f"These grids have {pixels:,} pixels together; at most {MAX_GRID_PIXELS:,} are drawn. Ask for fewer "
            "runs or iterations, or for fewer cells (rows= and columns=)."
        )


def describe_figure(title: str, figure: str, jobs: Sequence[Job], shown: Sequence[dict[str, Any]]) -> About:
    """Return what a figure's file says of itself; shown: beside each run, what of it."""
    runs = [
        {"id": job.id, "name": job.name, "commit": job.commit_hash, **what}
        for job, what in zip(jobs, shown, strict=True)
    ]
    description = json.dumps({"figure": figure, "runs": runs}, ensure_ascii=False)
    return About(f"{title} of {', '.join(job.name for job in jobs)}", description, f"Ganvas {find_version()}")


def name_figure(stem: str, jobs: Sequence[Job]) -> str:
    """Return the name of a figure's file, without the form."""
    name = f"{jobs[0].name}-{stem}" if len(jobs) == 1 else f"{stem}-of-{len(jobs)}-runs"
    return name.replace(" ", "-")


def plan_figure(
    plan: Plan, digests: Sequence[str], read_files: ReadFiles, stem: str, jobs: Sequence[Job], left_out: str = ""
) -> PlannedFigure:
    """Return the figure of this plan. digests: of its files. stem: what its own file is called after."""
    text = json.dumps([asdict(plan), list(digests)], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return PlannedFigure(plan, read_files, digest, name_figure(stem, jobs), left_out)
