"""What the figures of a run page are made of, read through `api.queries`."""

import struct
import zlib
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.curves.histograms import list_histogram_iterations, list_histograms_at
from api.errors import RouteNotFound
from api.jobs import queries as job_queries
from api.samples.queries import find_neighbour_grid, list_neighbour_iterations, list_samples_at
from api.server.access.scopes import needs
from api.server.database.models import LogLine
from api.server.http.dependencies import ServicesDep
from api.server.services import Services
from dashboard.charts.chart import NARROWEST
from dashboard.run.heat_maps import GRADIENTS, LOGITS, HeatMapData, Kind, Window, choose_columns, draw_heat_map
from dashboard.run.neighbours import DISTANCES, NeighbourData, shown_neighbours
from ganlib.events import FiniteFloat

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_grey_png(rows: Sequence[bytes]) -> bytes:
    """Return rows of equal length, one byte a pixel from black (0) to white (255), as a PNG."""
    # Size, bit depth 8, colour type 0 (grey), and the only methods that there are (PNG specification, 11.2.2).
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    # Each row begins with its filter, 0: none.
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# How ganlib.evaluation.evaluator begins that line of the log.
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


AxesDep = Annotated[HeatMapAxes, Query()]


def build_heat_map_router() -> APIRouter:
    """Return the routes of the pictures: white where all values are, black where none."""
    router = APIRouter(include_in_schema=False)

    @router.get("/runs/{job_id}/logits/{which}.png", dependencies=needs("read"))
    def draw_logits(job_id: str, which: Literal["real", "fake"], axes: AxesDep, services: ServicesDep) -> Response:
        """Draw the logits of real or of generated images."""
        return _draw(services, job_id, LOGITS, f"logits/{which}", axes)

    @router.get("/runs/{job_id}/gradients/{which}.png", dependencies=needs("read"))
    def draw_gradients(
        job_id: str, which: Literal["generator", "discriminator"], axes: AxesDep, services: ServicesDep
    ) -> Response:
        """Draw the sizes of one player's gradients."""
        return _draw(services, job_id, GRADIENTS, f"gradients/{which}", axes)

    return router


def _draw(services: Services, job_id: str, kind: Kind, name: str, axes: HeatMapAxes) -> Response:
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        png = read_heat_map_png(session, job_id, kind, name, axes)
    if png is None:
        raise RouteNotFound
    return Response(png, headers={"Cache-Control": "no-store"}, media_type="image/png")
