"""REST and dashboard as one ASGI application: same origin, one process, no proxy."""

from fastapi import FastAPI

from api.main import build_service
from api.server.services import Services
from api.server.settings import Settings
from dashboard.pages import add_dashboard


def build_app(settings: Settings | None = None, running: Services | None = None) -> FastAPI:
    """Build the results service with the dashboard; default settings come from GANVAS_… variables.

    running: services that the caller starts and stops.
    """
    app = build_service(settings or Settings(), running)
    add_dashboard(app)
    return app
