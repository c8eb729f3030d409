"""REST and dashboard as one ASGI application: same origin, one process, no proxy."""

from fastapi import FastAPI

from api.main import build_service
from api.settings import Settings
from dashboard.pages import add_dashboard


def build_app(settings: Settings | None = None) -> FastAPI:
    """Join the results service and the dashboard; settings come from GANVAS_… variables when not given."""
    app = build_service(settings or Settings())
    add_dashboard(app)
    return app
