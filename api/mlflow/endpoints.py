"""Every endpoint of MLflow's API that the service has, each with the scope that it needs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from api.mlflow import experiments
from api.mlflow.files import artifacts
from api.mlflow.models import logged, registered, versions
from api.mlflow.protocol.errors import MlflowError
from api.mlflow.protocol.requests import Fields
from api.mlflow.runs import inputs, metrics, params, runs
from api.server.access.grants import TokenScope

Answer = Callable[[Session, Fields], dict[str, Any]]


@dataclass(frozen=True)
class Endpoint:
    """What answers a request. scope: what a token must grant; `user` writes, `read` does not."""

    answer: Answer
    scope: TokenScope

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.scope == "user"


def _read(answer: Answer) -> Endpoint:
    return Endpoint(answer, "read")


def _write(answer: Answer) -> Endpoint:
    return Endpoint(answer, "user")


# By method and path below `/api/2.0/mlflow/`.
_EXACT: Mapping[str, Endpoint] = {
    "POST experiments/create": _write(experiments.create_experiment),
    "GET experiments/get": _read(experiments.get_experiment),
    "GET experiments/get-by-name": _read(experiments.get_experiment_by_name),
    "POST experiments/search": _read(experiments.search_experiments),
    "GET experiments/search": _read(experiments.search_experiments),
    "POST experiments/update": _write(experiments.update_experiment),
    "POST experiments/delete": _write(experiments.delete_experiment),
    "POST experiments/restore": _write(experiments.restore_experiment),
    "POST experiments/set-experiment-tag": _write(experiments.set_experiment_tag),
    "POST experiments/delete-experiment-tag": _write(experiments.delete_experiment_tag),
    "POST experiments/search-datasets": _read(inputs.search_datasets),
    "POST runs/create": _write(runs.create_run),
    "GET runs/get": _read(runs.get_run),
    "POST runs/search": _read(runs.search_runs),
    "POST runs/update": _write(runs.update_run),
    "POST runs/delete": _write(runs.delete_run),
    "POST runs/restore": _write(runs.restore_run),
    "POST runs/log-metric": _write(metrics.log_metric),
    "POST runs/log-batch": _write(metrics.log_batch),
    "POST runs/log-parameter": _write(params.log_param),
    "POST runs/set-tag": _write(params.set_tag),
    "POST runs/delete-tag": _write(params.delete_tag),
    "POST runs/log-inputs": _write(inputs.log_inputs),
    "POST runs/outputs": _write(inputs.log_outputs),
    "POST runs/log-model": _write(logged.record_model),
    "GET metrics/get-history": _read(metrics.get_history),
    "GET metrics/get-history-bulk": _read(metrics.get_history_bulk),
    "GET metrics/get-history-bulk-interval": _read(metrics.get_history_interval),
    "GET artifacts/list": _read(artifacts.list_run_files),
    "POST artifacts/presigned-upload-url": _write(artifacts.refuse_presigned),
    "POST artifacts/presigned-download-url": _read(artifacts.refuse_presigned),
    "POST logged-models": _write(logged.create_model),
    "POST logged-models/search": _read(logged.search_models),
    "POST registered-models/create": _write(registered.create_registered),
    "POST registered-models/rename": _write(registered.rename_registered),
    "PATCH registered-models/update": _write(registered.update_registered),
    "DELETE registered-models/delete": _write(registered.delete_registered),
    "GET registered-models/get": _read(registered.get_registered),
    "GET registered-models/search": _read(registered.search_registered),
    "POST registered-models/get-latest-versions": _read(registered.get_latest),
    "GET registered-models/get-latest-versions": _read(registered.get_latest),
    "POST registered-models/set-tag": _write(registered.set_registered_tag),
    "DELETE registered-models/delete-tag": _write(registered.delete_registered_tag),
    "POST registered-models/alias": _write(registered.set_alias),
    "DELETE registered-models/alias": _write(registered.delete_alias),
    "GET registered-models/alias": _read(registered.get_by_alias),
    "POST model-versions/create": _write(versions.create_version),
    "PATCH model-versions/update": _write(versions.update_version),
    "POST model-versions/transition-stage": _write(versions.move_version),
    "DELETE model-versions/delete": _write(versions.delete_version),
    "GET model-versions/get": _read(versions.get_version),
    "GET model-versions/search": _read(versions.search_versions),
    "GET model-versions/get-download-uri": _read(versions.get_download_uri),
    "POST model-versions/set-tag": _write(versions.set_version_tag),
    "DELETE model-versions/delete-tag": _write(versions.delete_version_tag),
}
_PATTERNS: tuple[tuple[re.Pattern[str], Endpoint], ...] = (
    (re.compile(r"GET logged-models/(?P<model_id>[^/]+)"), _read(logged.get_model)),
    (re.compile(r"PATCH logged-models/(?P<model_id>[^/]+)"), _write(logged.finalize_model)),
    (re.compile(r"DELETE logged-models/(?P<model_id>[^/]+)"), _write(logged.delete_model)),
    (re.compile(r"PATCH logged-models/(?P<model_id>[^/]+)/tags"), _write(logged.set_model_tags)),
    (
        re.compile(r"DELETE logged-models/(?P<model_id>[^/]+)/tags/(?P<tag_key>.+)"),
        _write(logged.delete_model_tag),
    ),
    (re.compile(r"POST logged-models/(?P<model_id>[^/]+)/params"), _write(logged.log_model_params)),
    (
        re.compile(r"GET logged-models/(?P<model_id>[^/]+)/artifacts/directories"),
        _read(artifacts.list_model_files),
    ),
)


def find_endpoint(method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
    """Return what answers a request, and the fields that its path holds; raises MlflowError."""
    name = f"{method} {path}"
    if name in _EXACT:
        return _EXACT[name], {}
    for pattern, endpoint in _PATTERNS:
        if match := pattern.fullmatch(name):
            return endpoint, match.groupdict()
    raise unknown_endpoint(method, path)


def unknown_endpoint(method: str, path: str) -> MlflowError:
    """Return the error of an endpoint that the service does not have."""
    return MlflowError(
        "ENDPOINT_NOT_FOUND",
        f"Ganvas has no endpoint {method} {path[:200]}: of MLflow it has tracking, artifacts and the model "
        "registry; traces, prompts' optimization, gateways and webhooks are not there.",
    )
