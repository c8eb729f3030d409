"""The page of faults."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.jobs import serializers
from api.jobs.schemas import JobSummary
from api.server.access.scopes import needs
from api.server.database.models import Job
from api.server.http.dependencies import ServicesDep
from dashboard.faults.view import build_faults_page, name_recipe
from dashboard.new_run.recipes import FIRST, read_recipes
from dashboard.web.rendering import Site
from dashboard.web.requests import read_frame
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.spec.parse import parse_spec


def build_router(site: Site) -> APIRouter:
    """Return the page's route."""
    router = APIRouter(include_in_schema=False)

    @router.get("/faults", dependencies=needs("read"))
    def show_faults(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show every fault that rules look for."""
        recipes = read_recipes()
        shown = {rule: name for rule in RULES if (name := name_recipe(rule)) in recipes}
        with services.database.read() as session:
            runs = read_runs(session, list(shown.values()))
        specs = {rule: read_whole_spec(shown.get(rule, FIRST)) for rule in RULES}
        page = build_faults_page(RULES, recipes, specs, runs, read_frame(request))
        return site.renderer.render_page(request, "faults/page.html", page)

    return router


@cache
def read_whole_spec(recipe: str) -> Mapping[str, Any]:
    """Return a recipe's spec with every field."""
    return parse_spec(read_recipes()[recipe]).model_dump(mode="json")


def read_runs(session: Session, names: list[str]) -> dict[str, JobSummary]:
    """Return the newest run of each of these names that has drawn a grid."""
    if not names:
        return {}
    own = (Job.name.in_(names), Job.deleted_at.is_(None), Job.newest_sample_id.is_not(None))
    newest: dict[str, Job] = {}
    for job in session.scalars(select(Job).where(*own).order_by(Job.created_at.desc()).limit(200)):
        newest.setdefault(job.name, job)
    return {summary.name: summary for summary in serializers.job_summaries(session, list(newest.values()))}
