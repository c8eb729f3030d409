"""The pictures of heat maps; a page holds their axes and names them in the pictures' addresses."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from api import queries
from api.deps import ServicesDep
from api.errors import RouteNotFound
from api.security import needs
from api.services import Services
from dashboard.figure_data import HeatMapAxes, read_heat_map_png
from dashboard.views.heat_map import GRADIENTS, LOGITS, Kind

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
        queries.get_job(session, job_id)
        png = read_heat_map_png(session, job_id, kind, name, axes)
    if png is None:
        raise RouteNotFound
    return Response(png, headers={"Cache-Control": "no-store"}, media_type="image/png")
