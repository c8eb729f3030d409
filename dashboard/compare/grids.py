"""Each compared run's grid at one place of the axis: its picture, its caption, and what cells have in common."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.artifacts.queries import artifact_url
from api.curves.best import Best
from api.events.findings.schemas import VerdictRead
from api.jobs.schemas import JobSummary
from api.samples.queries import GridRow
from api.server.http.schemas import JobState
from dashboard.charts.chart import label_position
from dashboard.compare.axis import Track
from dashboard.compare.requests import Comparison
from dashboard.web.formats import show_count, show_number
from dashboard.web.layout import STATE_WORDS, find_verdict
from ganlib.vocabulary import BETTER_WORDS, Metric

# The side of a grid in pixels by the number of runs; the smallest for more runs.
SIDES = {2: 560, 3: 448}
SMALLEST_SIDE = 300


@dataclass(frozen=True)
class PictureView:
    """A grid at the size that it is drawn in, in pixels."""

    url: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class RunFigure:
    """One run: its number and name, its grid if it has one there, the caption's note, and its set of latents.

    stroke: the number of its curve's colour. scale: length of an iteration on the axis. origin: start of its time.
    reached, length: its progress in iterations and on the axis. side: of a grid, in pixels.
    """

    number: int
    stroke: int
    id: str
    name: str
    state: JobState
    state_word: str
    verdict: VerdictRead | None
    score: str
    score_title: str
    picture: PictureView | None
    iteration: str
    note: str
    latents: str
    scale: int
    origin: float
    reached: int
    length: float
    side: int


def build_figures(
    tracks: Sequence[Track],
    at: float | None,
    now: datetime,
    bests: Mapping[str, tuple[Metric, Best]] | None = None,
    strokes: Mapping[str, int] | None = None,
) -> list[RunFigure]:
    """Return each run's newest grid at this position or before.

    bests: the best of what judges all of them. strokes: the colours of runs whose curves are not their own.
    """
    scores = {job_id: _score(*best) for job_id, best in (bests or {}).items()}
    shown, count = [_grid_at(track, at) for track in tracks], len(tracks)
    letters, names = name_latents(shown), name_runs([track.job for track in tracks])
    return [
        RunFigure(
            number=number,
            stroke=(strokes or {}).get(track.job.id, number),
            id=track.job.id,
            name=name,
            state=track.job.state,
            state_word=STATE_WORDS[track.job.state],
            verdict=find_verdict(track.job),
            score=scores.get(track.job.id, ("", ""))[0],
            score_title=scores.get(track.job.id, ("", ""))[1],
            picture=_picture(name, grid, count) if grid else None,
            iteration=show_count(grid.iteration) if grid else "",
            note=_note(track, at),
            latents=letter,
            scale=track.scale,
            origin=track.origin,
            reached=track.job.iteration,
            length=track.length(now),
            side=SIDES.get(count, SMALLEST_SIDE),
        )
        for number, (track, name, grid, letter) in enumerate(zip(tracks, names, shown, letters, strict=True), 1)
    ]


def _score(metric: Metric, best: Best) -> tuple[str, str]:
    value, iteration = best
    where = f"the best, at iteration {show_count(iteration)}; {BETTER_WORDS[metric.better]}"
    return f"{metric.label} {show_number(value)}", where


def name_runs(jobs: Sequence[JobSummary]) -> list[str]:
    """Return the runs' names, with the beginning of their ids where several have the same."""
    counts = Counter(job.name for job in jobs)
    return [job.name if counts[job.name] == 1 else f"{job.name} ({job.id[:8]})" for job in jobs]


def name_latents(shown: Sequence[GridRow | None]) -> list[str]:
    """Return a letter for each grid's fixed latents: the same where cells show the same; none where unknown."""
    sets = [
        (grid.latents_sha256, grid.rows, grid.columns) if grid and grid.has_known_latents else None
        for grid in shown
    ]
    letters = {key: chr(ord("A") + index) for index, key in enumerate(dict.fromkeys(filter(None, sets)))}
    return [letters[key] if key else "" for key in sets]


def describe_latents(figures: Sequence[RunFigure]) -> str:
    """Say whether the same cell shows the same latents in each of these runs; empty for fewer than two grids."""
    letters = [figure.latents for figure in figures if figure.latents]
    unknown = [str(figure.number) for figure in figures if figure.picture and not figure.latents]
    if unknown and len(letters) + len(unknown) > 1:
        runs = ", ".join(unknown)
        return f"The latents of {runs} are not known: compare what is drawn as a whole, not cell by cell."
    if len(letters) < 2:
        return ""
    if len(set(letters)) == 1:
        return "Same fixed latents: a cell shows the same latents in every run."
    groups = [
        f"{letter}: " + ", ".join(str(figure.number) for figure in figures if figure.latents == letter)
        for letter in sorted(set(letters))
    ]
    return (
        f"Different fixed latents ({'; '.join(groups)}): a cell shows the same latents only in runs of one "
        "letter. Between letters, compare what is drawn as a whole, not cell by cell."
    )


def choose_pair(asked: Comparison, figures: Sequence[RunFigure]) -> list[RunFigure]:
    """Return the two runs of the wipe: those that were asked for, else the first ones."""
    by_id = {figure.id: figure for figure in figures}
    wanted = [by_id[run] for run in dict.fromkeys(asked.pair) if run in by_id]
    return [*wanted, *(figure for figure in figures if figure not in wanted)][:2]


def _grid_at(track: Track, at: float | None) -> GridRow | None:
    index = track.find(at) if at is not None else None
    return track.grids[index] if index is not None else None


def _picture(name: str, grid: GridRow, count: int) -> PictureView:
    scale = max(1, SIDES.get(count, SMALLEST_SIDE) // max(grid.width, grid.height))
    alt = f"{grid.rows} × {grid.columns} images of {name} at iteration {show_count(grid.iteration)}"
    return PictureView(artifact_url(grid.sha256), alt, grid.width * scale, grid.height * scale)


def _note(track: Track, at: float | None) -> str:
    """Return the caption's note: how much earlier the grid is, or that there is none."""
    if not track.grids or at is None:
        return "No sample grid yet"
    index = track.find(at)
    if index is None:
        return f"No grid this early; the first is of iteration {show_count(track.grids[0].iteration)}"
    position = track.positions[index]
    if track.axis == "time":
        return f"after {label_position('time', position)}"
    away = show_count(round(at - position))
    return "" if away == "0" else f"nearest before, by {away}{' images' if track.axis == 'images' else ''}"
