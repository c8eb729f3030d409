"""Leads browsers from two addresses of the API to the page of the same things; others get the API's answers."""

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Relative, so that it is right below any prefix.
PAGE = "queue-and-workers"
ADDRESSES = frozenset({"/workers", "/queue"})


class PagesForBrowsers:
    """ASGI middleware: redirects requests for the queue and the workers that want a page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Redirect the request, or pass it on."""
        is_address = scope["type"] == "http" and scope["path"] in ADDRESSES and scope["method"] == "GET"
        if is_address and "text/html" in Headers(scope=scope).get("accept", ""):
            headers = {"cache-control": "no-store", "vary": "accept"}
            await RedirectResponse(PAGE, 303, headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
