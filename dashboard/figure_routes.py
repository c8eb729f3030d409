"""Figures and movies as files: /figures/timelines.pdf?run=…, /figures/curves.svg?run=…, /runs/ID/movie.mp4."""

import os
from collections.abc import Callable, Iterator
from typing import Annotated, BinaryIO

from fastapi import APIRouter, FastAPI, Header, Request
from fastapi.responses import Response, StreamingResponse
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from api import queries
from api.deps import ServicesDep
from api.points import Points
from api.routes.artifacts import FileStream
from api.security import needs
from api.services import Services
from dashboard.figure_plans import (
    Order,
    find_jobs,
    plan_curves,
    plan_movie,
    plan_timelines,
    refuse_unknown_metrics,
)
from dashboard.figure_requests import CurvesRequest, MovieRequest, TableRequest, TimelinesRequest, read_request
from dashboard.figures.plans import MEDIA_TYPES, ImageForm, MovieForm
from dashboard.figures.table import write_table
from dashboard.studio import Studio

# Shown in place; anything else is a file to keep.
_SHOWN = ("png", "gif", "mp4")
IfNoneMatch = Annotated[str | None, Header()]


def build_studio(app: FastAPI) -> Studio:
    """Return a studio that keeps its things in the service's home, and stops with the service."""
    services: Services = app.state.services
    cache = services.settings.home.expanduser().resolve() / "cache" / "figures"
    return Studio(cache, lambda: services.feed.closing)


def build_figure_router(studio: Studio) -> APIRouter:
    """Return the routes of figures, tables and movies."""
    router = APIRouter(include_in_schema=False)

    @router.get("/figures/timelines.{form}", dependencies=needs("read"))
    async def draw_timelines(
        form: ImageForm, request: Request, services: ServicesDep, if_none_match: IfNoneMatch = None
    ) -> Response:
        """Draw runs and iterations beside each other."""
        asked = read_request(TimelinesRequest, request.query_params)

        def plan(session: Session) -> Order:
            return plan_timelines(session, services.blobs, asked, form)

        return await send_figure(studio, request, services, plan, form, if_none_match)

    @router.get("/figures/curves.csv", dependencies=needs("read"))
    def write_curves(request: Request, services: ServicesDep) -> Response:
        """Write every point of some curves, one a row."""
        asked = read_request(TableRequest, request.query_params)
        return send_table(services, asked)

    @router.get("/figures/curves.{form}", dependencies=needs("read"))
    async def draw_curves(
        form: ImageForm, request: Request, services: ServicesDep, if_none_match: IfNoneMatch = None
    ) -> Response:
        """Draw curves of some runs."""
        asked = read_request(CurvesRequest, request.query_params)

        def plan(session: Session) -> Order:
            return plan_curves(session, asked, form)

        return await send_figure(studio, request, services, plan, form, if_none_match)

    @router.get("/runs/{job_id}/movie.{form}", dependencies=needs("read"))
    async def draw_movie(
        job_id: str, form: MovieForm, request: Request, services: ServicesDep, if_none_match: IfNoneMatch = None
    ) -> Response:
        """Play a run's timeline."""
        asked = read_request(MovieRequest, request.query_params)

        def plan(session: Session) -> Order:
            return plan_movie(session, services.blobs, job_id, asked, form)

        return await send_figure(studio, request, services, plan, form, if_none_match)

    return router


async def send_figure(
    studio: Studio,
    request: Request,
    services: Services,
    make_plan: Callable[[Session], Order],
    form: str,
    if_none_match: str | None,
) -> Response:
    """Plan, draw and send a figure; one that the reader has already is not drawn again."""
    order = await run_in_threadpool(_plan, services, make_plan)
    headers = {"etag": f'"{order.digest}"', "cache-control": "private, no-cache"}
    if order.left_out:
        headers["x-left-out"] = order.left_out
    if if_none_match is not None and f'"{order.digest}"' in if_none_match:
        return Response(status_code=304, headers=headers)
    file = await studio.draw(order.plan, order.read_files, request)
    return FileStream(file, {**headers, **_file_headers(file, order.name, form)}, MEDIA_TYPES[form])


def send_table(services: Services, asked: TableRequest) -> Response:
    """Stream the table; each curve is read when its turn comes."""
    with services.database.read() as session:
        jobs = find_jobs(session, asked.run)
        latest = [set(job.latest) for job in queries.job_summaries(session, jobs)]
        known = set().union(*latest)
        refuse_unknown_metrics(session, jobs, asked.metric, known)
        rows = [
            (job.id, job.name, metric)
            for job, names in zip(jobs, latest, strict=True)
            for metric in (dict.fromkeys(asked.metric) or sorted(names))
            if metric in names
        ]
        stem = f"{jobs[0].name}-curves" if len(jobs) == 1 else f"curves-of-{len(jobs)}-runs"

    def read() -> Iterator[tuple[str, str, str, Points]]:
        for job_id, name, metric in rows:
            with services.database.read() as session:
                curves = queries.read_stored_curves(session, job_id, [metric]).curves
            for curve in curves:
                yield job_id, name, metric, curve.points

    headers = {"cache-control": "private, no-cache", "content-disposition": _disposition(stem, "csv")}
    return StreamingResponse(write_table(read()), headers=headers, media_type=MEDIA_TYPES["csv"])


def _plan(services: Services, make_plan: Callable[[Session], Order]) -> Order:
    with services.database.read() as session:
        return make_plan(session)


def _file_headers(file: BinaryIO, stem: str, form: str) -> dict[str, str]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return {"content-length": str(size), "content-disposition": _disposition(stem, form)}


def _disposition(stem: str, form: str) -> str:
    return f'{"inline" if form in _SHOWN else "attachment"}; filename="{stem}.{form}"'
