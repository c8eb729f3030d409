"""Grids of several runs side by side: each run's newest at one place, and whether their cells may be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.jobs.serializers import artifact_url
from api.samples.queries import GridRow
from api.server.http.schemas import JobState
from dashboard.charts.chart import show_place
from dashboard.compare.axis import Track
from dashboard.compare.requests import Comparison
from dashboard.web.formats import show_count
from dashboard.web.layout import STATE_WORDS

# How large a grid is drawn, by the number of runs; beyond, as for the most.
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
    """One run: its number and name, its grid if it has one there, what the caption says, and its set of latents.

    scale: places on the axis that an iteration is. origin: when its time begins. reached, length: how far it has
    come, as a number of iterations and on the axis. side: how large grids are drawn.
    """

    number: int
    id: str
    name: str
    state: JobState
    state_word: str
    picture: PictureView | None
    iteration: str
    note: str
    latents: str
    scale: int
    origin: float
    reached: int
    length: float
    side: int


def build_figures(tracks: Sequence[Track], at: float | None, now: datetime) -> list[RunFigure]:
    """Return each run's newest grid at this place or before."""
    shown, count = [_grid_at(track, at) for track in tracks], len(tracks)
    letters = name_latents(shown)
    return [
        RunFigure(
            number=number,
            id=track.job.id,
            name=track.job.name,
            state=track.job.state,
            state_word=STATE_WORDS[track.job.state],
            picture=_picture(track.job.name, grid, count) if grid else None,
            iteration=show_count(grid.iteration) if grid else "",
            note=_note(track, at),
            latents=letter,
            scale=track.scale,
            origin=track.origin,
            reached=track.job.iteration,
            length=track.length(now),
            side=SIDES.get(count, SMALLEST_SIDE),
        )
        for number, (track, grid, letter) in enumerate(zip(tracks, shown, letters, strict=True), 1)
    ]


def name_latents(shown: Sequence[GridRow | None]) -> list[str]:
    """Return a letter for each grid's fixed latents: the same one where cell by cell shows the same latents."""
    sets = [(grid.latents_sha256, grid.rows, grid.columns) if grid else None for grid in shown]
    letters = {key: chr(ord("A") + place) for place, key in enumerate(dict.fromkeys(filter(None, sets)))}
    return [letters[key] if key else "" for key in sets]


def describe_latents(figures: Sequence[RunFigure]) -> str:
    """Say whether the same cell shows the same latents in each of these runs; nothing where there is no second."""
    letters = [figure.latents for figure in figures if figure.latents]
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
    """Say what a grid's caption must add: that it is an earlier one, or that there is none."""
    if not track.grids or at is None:
        return "No sample grid yet"
    index = track.find(at)
    if index is None:
        return f"No grid this early; the first is of iteration {show_count(track.grids[0].iteration)}"
    place = track.places[index]
    if track.axis == "time":
        return f"after {show_place('time', place)}"
    away = show_count(round(at - place))
    return "" if away == "0" else f"nearest before, by {away}{' images' if track.axis == 'images' else ''}"
