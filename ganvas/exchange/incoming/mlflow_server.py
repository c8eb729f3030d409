"""Runs of an MLflow server, over its REST interface."""

import os
from collections.abc import Iterator
from typing import Any

import httpx

from ganvas.exchange.incoming.mlflow_run import Metric, MlflowRun, describe_run, restore_infinity
from ganvas.exchange.records import Losses, SourceRun, SourceUnreadable

_API = "/api/2.0/mlflow"
_PAGE = 1000
_MAX_METRICS = 25_000


def find_runs(address: str) -> Iterator[SourceRun]:
    """Yield the runs of all experiments of a server; raises SourceUnreadable.

    MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and …_PASSWORD, are sent as MLflow's own client does.
    """
    server = _Server(address)
    experiments = {each["experiment_id"]: each["name"] for each in server.list_experiments()}
    if not experiments:
        raise SourceUnreadable(f"The MLflow server at {address} has no experiments.")
    is_empty = True
    for run in server.list_runs(list(experiments)):
        is_empty = False
        yield describe_run(_open(server, run, experiments))
    if is_empty:
        names = ", ".join(experiments.values())
        raise SourceUnreadable(f"The MLflow server at {address} has no runs; its experiments are {names}.")


def _open(server: "_Server", run: dict[str, Any], experiments: dict[str, str]) -> MlflowRun:
    info, data = run["info"], run.get("data", {})
    run_id = info["run_id"]
    keys = [metric["key"] for metric in data.get("metrics", [])]
    return MlflowRun(
        run_id=run_id,
        name=info.get("run_name", ""),
        experiment=experiments.get(info["experiment_id"], info["experiment_id"]),
        status=info.get("status", "FINISHED"),
        start_time=_integer(info.get("start_time")),
        end_time=_integer(info.get("end_time")),
        source=f"{server.address}/#/experiments/{info['experiment_id']}/runs/{run_id}",
        read_metrics=lambda losses: server.read_metrics(run_id, keys, losses),
        artifacts=sorted(server.list_artifacts(run_id, "")),
        open_artifact=lambda path, losses: server.read_artifact(run_id, path, losses),
        params={param["key"]: param.get("value", "") for param in data.get("params", [])},
        tags={tag["key"]: tag.get("value", "") for tag in data.get("tags", [])},
    )


class _Server:
    """The few calls that an import needs."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        token, user = os.environ.get("MLFLOW_TRACKING_TOKEN"), os.environ.get("MLFLOW_TRACKING_USERNAME")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        auth = (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user and not token else None
        transport = httpx.HTTPTransport(retries=3)
        self._client = httpx.Client(headers=headers, auth=auth, timeout=60.0, transport=transport)

    def list_experiments(self) -> Iterator[dict[str, Any]]:
        """Yield all experiments that are not deleted."""
        yield from self._pages("POST", "experiments/search", "experiments", {"max_results": _PAGE})

    def list_runs(self, experiment_ids: list[str]) -> Iterator[dict[str, Any]]:
        """Yield all runs that are not deleted, oldest first."""
        query = {"experiment_ids": experiment_ids, "max_results": _PAGE, "order_by": ["attributes.start_time ASC"]}
        yield from self._pages("POST", "runs/search", "runs", query)

    def read_metrics(self, run_id: str, keys: list[str], losses: Losses) -> Iterator[Metric]:
        """Yield every logged value of the metrics."""
        for key in keys:
            query = {"run_id": run_id, "metric_key": key, "max_results": _MAX_METRICS}
            try:
                for point in self._pages("GET", "metrics/get-history", "metrics", query):
                    value = restore_infinity(float(point["value"]))
                    yield Metric(
                        key, value, _integer(point.get("timestamp")) or 0, _integer(point.get("step")) or 0
                    )
            except SourceUnreadable as error:
                losses.add("metrics that the server does not give", f"{key}: {error}")

    def list_artifacts(self, run_id: str, path: str) -> Iterator[str]:
        """Yield the paths of all files below a path."""
        query = {"run_id": run_id, **({"path": path} if path else {})}
        for file in self._pages("GET", "artifacts/list", "files", query):
            if file.get("is_dir"):
                yield from self.list_artifacts(run_id, file["path"])
            else:
                yield file["path"]

    def read_artifact(self, run_id: str, path: str, losses: Losses) -> bytes | None:
        """Return an artifact's bytes; None, and a loss, if the server does not give it."""
        try:
            response = self._client.get(
                f"{self.address}/get-artifact", params={"run_uuid": run_id, "path": path}, follow_redirects=False
            )
            response.raise_for_status()
        except httpx.HTTPError as error:
            losses.add("artifacts that the server does not give", f"{path}: {error}")
            return None
        return response.content

    def _pages(self, method: str, path: str, field: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            answer = self._ask(method, path, {**query, **({"page_token": token} if token else {})})
            yield from answer.get(field, [])
            following = answer.get("next_page_token", "")
            if not following or following == token:
                return
            token = following

    def _ask(self, method: str, path: str, query: dict[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {"params": query} if method == "GET" else {"json": query}
        try:
            response = self._client.request(method, f"{self.address}{_API}/{path}", **given)
            found = response.json()
        except httpx.HTTPError as error:
            raise SourceUnreadable(f"The MLflow server at {self.address} does not answer: {error}") from error
        except ValueError:
            found = None
        if response.status_code != 200 or not isinstance(found, dict):
            said = found.get("message", "") if isinstance(found, dict) else ""
            raise SourceUnreadable(
                f"{self.address} answered {response.status_code} to {path}: {said or 'not as MLflow does'}"
            )
        return found


def _integer(value: Any) -> int | None:
    # 64-bit integers are texts in protobuf's JSON.
    return None if value is None else int(value)
