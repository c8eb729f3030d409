"""MLflow's API as its clients call it: the requests of MLflow 3.17, against the real service."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.main import build_service
from api.server.database.engine import Database
from api.server.settings import Settings
from tests.support.services import HOST, QUIET

API, FILES = "/api/2.0/mlflow", "/api/2.0/mlflow-artifacts/artifacts"
START = 1_796_039_483_510


@dataclass
class Mlflow:
    """Calls of MLflow's client; each returns the answer's JSON, and expects success unless `fails` is asked."""

    client: TestClient

    def post(self, path: str, /, **body: Any) -> Any:
        return self._expect(self.client.post(f"{API}/{path}", json=body))

    def get(self, path: str, /, **query: Any) -> Any:
        return self._expect(self.client.get(f"{API}/{path}", params=query))

    def patch(self, path: str, /, **body: Any) -> Any:
        return self._expect(self.client.patch(f"{API}/{path}", json=body))

    def delete(self, path: str, /, **body: Any) -> Any:
        return self._expect(self.client.request("DELETE", f"{API}/{path}", json=body))

    def fails(self, method: str, path: str, /, **body: Any) -> tuple[int, str, str]:
        """Return status, code and message of a call that is refused."""
        query = {"params": body} if method == "GET" else {"json": body}
        answer = self.client.request(method, f"{API}/{path}", **query)
        error = answer.json()
        return answer.status_code, error["error_code"], error["message"]

    def create_experiment(self, name: str = "gan") -> str:
        found: str = self.post("experiments/create", name=name)["experiment_id"]
        return found

    def create_run(self, experiment_id: str, name: str = "r1", **fields: Any) -> str:
        body = {"experiment_id": experiment_id, "user_id": "ana", "run_name": name, "start_time": START, **fields}
        found: str = self.post("runs/create", **body)["run"]["info"]["run_id"]
        return found

    def log_metric(self, run_id: str, key: str, value: Any, step: int = 0, timestamp: int = START) -> None:
        self.post("runs/log-metric", run_id=run_id, key=key, value=value, timestamp=timestamp, step=step)

    def read_run(self, run_id: str) -> Any:
        return self.get("runs/get", run_uuid=run_id, run_id=run_id)["run"]

    def search(self, experiment_id: str, text: str = "", *orders: str, **fields: Any) -> list[str]:
        """Return the names of the runs that a search finds."""
        body = {"experiment_ids": [experiment_id], "filter": text, "order_by": list(orders), **fields}
        return [run["info"]["run_name"] for run in self.post("runs/search", **body).get("runs", [])]

    def upload(self, address: str, content: bytes) -> Any:
        return self._expect(self.client.put(f"{FILES}/{address}", content=content))

    def list_files(self, address: str) -> list[tuple[str, Any]]:
        """Return the names at an address, each with its size, None for a folder."""
        answer = self._expect(self.client.get(FILES, params={"path": address}))
        return [(each["path"], each.get("file_size")) for each in answer.get("files", [])]

    def find_job(self, run_id: str) -> Any:
        """Return the job of a run, as Ganvas' own API shows it."""
        name = self.read_run(run_id)["info"]["run_name"]
        (found,) = [each for each in self.client.get("/jobs").json()["items"] if each["name"] == name]
        return self.client.get(f"/jobs/{found['id']}").json()

    def _expect(self, answer: Any) -> Any:
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def mlflow(client: TestClient) -> Mlflow:
    return Mlflow(client)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_mlflow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mlflow]:
    """The service on both kinds of database."""
    if request.param == "sqlite":
        settings = Settings(home=request.getfixturevalue("home"), **QUIET)
    else:
        database: Database = request.getfixturevalue("postgresql")
        url = database.engine.url.render_as_string(hide_password=False)
        settings = Settings(home=tmp_path / "home", database_url=url, **QUIET)
    with TestClient(build_service(settings), base_url=HOST) as client:
        yield Mlflow(client)


@pytest.fixture
def experiment(mlflow: Mlflow) -> str:
    return mlflow.create_experiment()


@pytest.fixture
def run(mlflow: Mlflow, experiment: str) -> str:
    return mlflow.create_run(experiment)
