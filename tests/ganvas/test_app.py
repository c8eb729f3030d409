"""Service and dashboard as one application."""

from pathlib import Path

from api.security import list_undeclared_routes
from api.settings import Settings
from ganvas.app import build_app


def test_every_route_of_the_joined_application_declares_who_may_use_it(tmp_path: Path) -> None:
    app = build_app(Settings(home=tmp_path))
    assert list_undeclared_routes(app.routes) == []
    app.add_api_route("/forgotten", lambda: None)
    assert len(list_undeclared_routes(app.routes)) == 1
