"""Two runs of which one is shared, on a service that may require tokens."""

from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from api.server.access import tokens
from api.server.services import Services
from tests.support.fake_worker import FakeWorker, make_grid_png

BROWSER = {"accept": "text/html"}


def services_of(client: TestClient) -> Services:
    app = client.app
    assert isinstance(app, FastAPI)
    services: Services = app.state.services
    return services


class Lab:
    """Two runs, of which one or both are shared, and the files of each."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.runs: list[str] = []
        self.grids: list[str] = []
        for name in ("shown", "hidden"):
            worker = FakeWorker(client)
            self.runs.append(worker.submit(name=name, tags=[f"tag-of-{name}"]))
            worker.claim()
            worker.log_metrics(10, 20)
            worker.log_logits(10)
            worker.save_neighbours(20)
            # Another grid for each run.
            self.grids.append(worker.save_grid(20, None if name == "shown" else make_grid_png(77)))
            worker.save_checkpoint(20)

    def share(self, **body: Any) -> dict[str, Any]:
        answer = self.client.post("/shares", json=body or {"target": self.runs[0]})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def close(self) -> None:
        """Let the service require tokens from now on."""
        services = services_of(self.client)
        with services.database.write() as session:
            tokens.insert_token(session, "first", "user", None)
        services.authenticator.forget()
        services.authenticator._asked_at = float("-inf")

    def read(self, url: str, status: int = 200) -> Response:
        answer = self.client.get(url, headers=BROWSER)
        assert answer.status_code == status, (url, answer.text[:300])
        return answer
