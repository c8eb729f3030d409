"""Starting runs from the browser: a form with a recipe or another run, and the retry of a run."""

import hashlib
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.errors import JobStateConflict, RouteNotFound, TooManyRequests
from api.jobs import queries as job_queries
from api.jobs import serializers, submission
from api.jobs.ids import NAMED_JOB
from api.jobs.schemas import JobRead
from api.server.access.scopes import needs
from api.server.http.dependencies import Caller, ServicesDep
from api.server.services import Services
from api.server.specs.schemas import SpecReviewRead
from api.server.specs.serializers import review_text
from dashboard.new_run.recipes import build_new_run_page, read_recipes, read_texts
from dashboard.new_run.requests import (
    MAX_CHANGES,
    MAX_YAML,
    change_spec,
    follow_yaml,
    list_changes,
    new_key,
    read_draft,
    read_spec,
)
from dashboard.new_run.view import Draft, Source, build_run_form, draft_of
from dashboard.web.rendering import Renderer, Site
from dashboard.web.requests import FormFields, read_frame
from dashboard.web.specs import compare_specs, show_spec
from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.documents.differences import propose_name
from ganlib.spec.documents.suggestions import find_near
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec


def build_router(site: Site) -> APIRouter:
    """Return the routes of the recipes, of the form, and of the button that repeats a run."""
    router = APIRouter(include_in_schema=False)
    renderer = site.renderer

    @router.get("/new", dependencies=needs("user"))
    def show_new(
        request: Request, services: ServicesDep, recipe: str = "", data: str = "", kind: str = "", order: str = ""
    ) -> HTMLResponse:
        """Show the recipes, those of one data set or kind, in their order, or one of them in a form."""
        frame = read_frame(request)
        if not recipe:
            page = build_new_run_page(read_recipes(), frame, data, kind, order)
            return renderer.render_page(request, "new_run/recipes.html", page)
        if recipe not in read_recipes():
            near = find_near(recipe, read_recipes())
            advice = f"did you mean {near}?" if near else "/new lists them."
            raise RouteNotFound(f"No recipe has this name; {advice}")
        spec = parse_spec(read_recipes()[recipe]).model_dump(mode="json")
        draft = draft_of(spec, read_texts()[f"{recipe}.yaml"], new_key())
        return renderer.render_page(
            request,
            "new_run/form.html",
            build_run_form(
                _source_of_recipe(recipe), draft, _action_of(recipe), frame, check_draft(services, draft)
            ),
        )

    @router.post("/new", dependencies=needs("user"))
    def start_new(
        request: Request, fields: FormFields, services: ServicesDep, caller: Caller, recipe: str = ""
    ) -> Response:
        """Queue the form's run, or show the form again with what is wrong; it still says what it began with."""
        is_known = recipe in read_recipes()
        source = _source_of_recipe(recipe) if is_known else Source("New run", "", "/new", "All recipes")
        action = _action_of(recipe) if is_known else "/new"
        return submit(renderer, request, fields, services, caller, source, action)

    @router.get("/runs/{job_id}/again", dependencies=[*needs("user"), NAMED_JOB])
    def show_again(
        job_id: str,
        request: Request,
        services: ServicesDep,
        changes: Annotated[list[str], Query(alias="set", max_length=MAX_CHANGES, default_factory=list)],
    ) -> HTMLResponse:
        """Show a run's spec in a form, changed as the address says: `?set=path=value`, any number of times."""
        job = _read_job(services, job_id)
        changed = change_spec(job.spec, changes)
        after = changed.after
        if after.get("name") == changed.before.get("name") and changes and not changed.problems:
            after = {**after, "name": propose_name(changed.before, after)}
        draft = draft_of(after, show_spec(after), new_key())
        page = build_run_form(
            _source_of_run(job),
            draft,
            f"/runs/{job.id}/again",
            read_frame(request),
            check_draft(services, draft),
            changed.problems,
            changes=compare_specs([changed.before, changed.after]).rows,
        )
        return renderer.render_page(request, "new_run/form.html", page, 422 if changed.problems else 200)

    @router.post("/runs/{job_id}/again", dependencies=[*needs("user"), NAMED_JOB])
    def start_again(
        job_id: str, request: Request, fields: FormFields, services: ServicesDep, caller: Caller
    ) -> Response:
        """Queue the form's run, or show the form again with what is wrong."""
        job = _read_job(services, job_id)
        source, action = _source_of_run(job), f"/runs/{job.id}/again"
        return submit(renderer, request, fields, services, caller, source, action, made_from=job.id)

    @router.post("/runs/{job_id}/retry", dependencies=[*needs("user"), NAMED_JOB])
    def retry_run(job_id: str, fields: FormFields, services: ServicesDep, caller: Caller) -> Response:
        """Queue the run once more, from its newest checkpoint, and show it; a run that is not over is shown."""
        key = read_draft(fields).key
        services.rate_limits.count_submit(caller)
        try:
            job, _ = submission.retry_job(services, job_id, idempotency_key=f"retry-{job_id[:32]}-{key}")
        except JobStateConflict:
            return RedirectResponse(f"/runs/{job_id}", 303)
        return RedirectResponse(f"/runs/{job.id}", 303)

    return router


def submit(
    renderer: Renderer,
    request: Request,
    fields: Mapping[str, str],
    services: Services,
    caller: str,
    source: Source,
    action: str,
    made_from: str | None = None,
) -> Response:
    """Queue the form's run and lead to it; or show the form again, as it was typed."""
    draft, problems, refusal, status = read_draft(fields), list[Problem](), "", 422
    try:
        spec = read_spec(draft)
        services.rate_limits.count_submit(caller)
        job, _ = submission.submit_job(services, spec, _key_of(draft, spec), made_from)
        return RedirectResponse(f"/runs/{job.id}", 303)
    except SpecInvalid as error:
        problems = error.problems
    except TooManyRequests as error:
        refusal, status = error.text, error.status
    check = check_draft(services, draft)
    page = build_run_form(source, follow_yaml(draft), action, read_frame(request), check, problems, refusal)
    return renderer.render_page(request, "new_run/form.html", page, status)


def check_draft(services: Services, draft: Draft) -> SpecReviewRead:
    """Return the check of what the draft's YAML and its changed fields say."""
    with services.database.read() as session:
        return review_text(session, draft.yaml[:MAX_YAML], list_changes(draft))


def _key_of(draft: Draft, spec: JobSpec) -> str:
    """Return a key for one form and one spec; the same form with another spec makes another run."""
    return f"form-{draft.key}-{hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:16]}"


def _read_job(services: Services, job_id: str) -> JobRead:
    """Return the job whose spec is run again; raises JobNotFound, JobStateConflict."""
    with services.database.read() as session:
        job = serializers.job_read(session, job_queries.get_job(session, job_id))
    if job.origin != "ganlib":
        raise JobStateConflict(
            "This run is of a loop that Ganvas does not start; run its own program again.", state=job.state
        )
    return job


def _action_of(recipe: str) -> str:
    return f"/new?{urlencode({'recipe': recipe})}"


def _source_of_recipe(name: str) -> Source:
    facts = read_recipes()[name].get("recipe") or {}
    return Source(f"New run from {name}", str(facts.get("expected", "")), "/new", "All recipes")


def _source_of_run(job: JobRead) -> Source:
    return Source("Run again with changes", "", f"/runs/{job.id}", f"Back to {job.name}", job.id)
