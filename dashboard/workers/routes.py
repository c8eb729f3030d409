"""The page of the queue and the workers, and how browsers come from addresses of the API to pages."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.events import watermark
from api.server.access.scopes import needs
from api.server.http.dependencies import ServicesDep
from api.workers import queries as worker_queries
from api.workers.queue import list_queue, list_running
from dashboard.web.rendering import Site
from dashboard.web.requests import read_frame
from dashboard.workers.view import QUEUED_ROWS, QueueData, build_queue_page


def build_router(site: Site) -> APIRouter:
    """Return the page's route. `/workers` and `/queue` themselves are the API's."""
    router = APIRouter(include_in_schema=False)

    @router.get("/queue-and-workers", dependencies=needs("read"))
    def show_workers(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the queue, and the workers with their runs and GPUs."""
        newest_event_id = watermark.find_watermark(services.database)
        with services.database.read() as session:
            waiting, count = list_queue(session, QUEUED_ROWS)
            running, workers = list_running(session), worker_queries.list_workers(session)
        data = QueueData(waiting, count, running, workers, newest_event_id)
        page = build_queue_page(data, read_frame(request), datetime.now(UTC))
        return site.renderer.render_page(request, "workers/page.html", page)

    return router


# Relative, so that they are right below any prefix.
PAGES = {"/workers": "queue-and-workers", "/queue": "queue-and-workers", "/shares": "share-links"}


class PagesForBrowsers:
    """ASGI middleware: redirects requests for workers, queue and links that want a page; others get the API's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Redirect the request, or pass it on."""
        is_address = scope["type"] == "http" and scope["path"] in PAGES and scope["method"] == "GET"
        if is_address and "text/html" in Headers(scope=scope).get("accept", ""):
            headers = {"cache-control": "no-store", "vary": "accept"}
            await RedirectResponse(PAGES[scope["path"]], 303, headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
