"""Service and dashboard as one application."""

import subprocess
import sys
from pathlib import Path

from api.server.access.scopes import list_undeclared_routes
from api.server.settings import Settings
from ganvas.app import build_app


def test_every_route_of_the_joined_application_declares_who_may_use_it(tmp_path: Path) -> None:
    app = build_app(Settings(home=tmp_path))
    assert list_undeclared_routes(app.routes) == []
    app.add_api_route("/forgotten", lambda: None)
    assert len(list_undeclared_routes(app.routes)) == 1


def test_a_service_loads_nothing_that_an_idle_one_does_not_need() -> None:
    packages = ("alembic", "boto3", "celery", "httpx", "kombu", "matplotlib", "numpy", "PIL", "torch")
    heavy = (*packages, "sqlalchemy.dialects.postgresql")
    program = f"import sys; import ganvas.app; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[]"
