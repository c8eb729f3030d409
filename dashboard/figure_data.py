"""What the figures of a run page are made of, read through `api.queries`."""

from typing import Annotated

from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.models import LogLine
from api.queries.histograms import list_histogram_iterations, list_histograms_at
from api.queries.timeline import find_neighbour_grid, list_neighbour_iterations, list_samples_at
from dashboard.png import write_grey_png
from dashboard.views.chart import NARROWEST
from dashboard.views.heat_map import HeatMapData, Kind, Window, choose_columns, draw_heat_map
from dashboard.views.neighbours import DISTANCES, NeighbourData, shown_neighbours
from ganlib.events import FiniteFloat

# How ganlib.evaluation begins that line of the log.
JUDGE_SAYS = "The eval figures are of "


class HeatMapAxes(BaseModel):
    """The axes of a heat map: iterations from left to right, logits from bottom to top."""

    first: Annotated[int, Field(ge=0)]
    last: Annotated[int, Field(ge=0)]
    low: FiniteFloat
    high: FiniteFloat


def read_heat_map(session: Session, job_id: str, kind: Kind, window: Window) -> HeatMapData:
    """Read the histograms of a kind in the window, or all where it holds none, as many as are drawn."""
    known = _known_iterations(session, job_id, kind)
    chosen = window.choose(known)
    if not chosen:
        chosen, window = known, Window()
    columns = sorted(set(choose_columns(chosen))) if chosen else []
    return HeatMapData(kind, window, chosen, list_histograms_at(session, job_id, kind.names, columns))


def read_heat_map_png(session: Session, job_id: str, kind: Kind, name: str, axes: HeatMapAxes) -> bytes | None:
    """Read and draw the histograms of this name to these axes; None where there is nothing to draw."""
    known = _known_iterations(session, job_id, kind)
    chosen = Window(axes.first, axes.last).choose(known)
    # Halved before they are subtracted: the range may be wider than the largest float.
    if not chosen or axes.high / 2 - axes.low / 2 < NARROWEST / 2:
        return None
    columns = choose_columns(chosen)
    histograms = list_histograms_at(session, job_id, [name], sorted(set(columns)))
    return write_grey_png(draw_heat_map(histograms, columns, axes.low, axes.high))


def read_judge(session: Session, job_id: str) -> str:
    """Return the sentence in which the trainer says how many samples are judged, and by whom; or nothing."""
    said = select(LogLine.text).where(LogLine.job_id == job_id, LogLine.text.startswith(JUDGE_SAYS))
    return session.scalars(said.order_by(LogLine.id.desc()).limit(1)).first() or ""


def _known_iterations(session: Session, job_id: str, kind: Kind) -> list[int]:
    return list_histogram_iterations(session, job_id, kind.names[0])


def read_neighbours(session: Session, job_id: str, wanted: int | None) -> NeighbourData:
    """Read the neighbour grid nearest to the wanted iteration, and what stands beside it."""
    iterations = list_neighbour_iterations(session, job_id)
    iteration = shown_neighbours(iterations, wanted)
    if iteration is None:
        return NeighbourData(iterations, None, None, None)
    samples = list_samples_at(session, job_id, [iteration])
    distances = list_histograms_at(session, job_id, [DISTANCES], [iteration])
    grid = find_neighbour_grid(session, job_id, iteration)
    return NeighbourData(iterations, grid, next(iter(samples), None), next(iter(distances), None))
