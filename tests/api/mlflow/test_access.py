"""Who may call MLflow's API, and errors in its form: also those of the service itself."""

import base64

import pytest
from fastapi.testclient import TestClient

from api.mlflow import endpoints
from api.server.access import tokens
from api.server.access.grants import TokenScope
from tests.api.mlflow.conftest import API, FILES, Mlflow

GUARDED = ["registered-models/create", "runs/create", "experiments/create", "logged-models"]


def make_token(client: TestClient, scope: TokenScope) -> str:
    with client.app.state.services.database.write() as session:  # type: ignore[attr-defined]
        return tokens.insert_token(session, "test", scope, None)[1]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_without_a_token_nothing_answers(client: TestClient) -> None:
    make_token(client, "read")
    for path in (f"{API}/experiments/search", f"{FILES}/0/x/artifacts/y", "/ajax-api/2.0/mlflow/x", "/version"):
        answer = client.get(path)
        assert answer.status_code == 401, path
    error = client.get(f"{API}/runs/get").json()
    assert (error["error_code"], "token" in error["message"]) == ("UNAUTHENTICATED", True)


def test_mlflows_tracking_token_is_a_token_of_ganvas(client: TestClient) -> None:
    token = make_token(client, "user")
    made = client.post(f"{API}/experiments/create", json={"name": "a"}, headers=bearer(token))
    assert made.json() == {"experiment_id": "1"}
    # As MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD send it.
    basic = base64.b64encode(f"ana:{token}".encode()).decode()
    read = client.get(f"{API}/experiments/get?experiment_id=1", headers={"authorization": f"Basic {basic}"})
    assert read.status_code == 200


def test_a_token_that_reads_does_not_write(client: TestClient) -> None:
    headers = bearer(make_token(client, "read"))
    client.headers["authorization"] = bearer(make_token(client, "user"))["authorization"]
    number = Mlflow(client).create_experiment()
    run = Mlflow(client).create_run(number)
    assert client.post(f"{API}/runs/search", json={"experiment_ids": [number]}, headers=headers).status_code == 200
    writes = [
        ("POST", f"{API}/runs/log-metric", {"run_id": run, "key": "a", "value": 1, "timestamp": 1}),
        ("DELETE", f"{API}/registered-models/delete", {"name": "a"}),
        ("PATCH", f"{API}/logged-models/m-1", {"status": "LOGGED_MODEL_READY"}),
        ("PUT", f"{FILES}/{number}/{run}/artifacts/a", {}),
        ("DELETE", f"{FILES}/{number}/{run}/artifacts/a", {}),
    ]
    for method, path, body in writes:
        answer = client.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED"), path
    assert client.get(FILES, params={"path": f"{number}/{run}/artifacts"}, headers=headers).json() == {}


def test_a_workers_token_reaches_nothing_of_it(client: TestClient) -> None:
    headers = bearer(make_token(client, "worker"))
    assert client.get(f"{API}/experiments/search", headers=headers).status_code == 403


def test_whatever_changes_something_needs_a_user() -> None:
    reading = ("get", "search", "list", "presigned-download-url")
    for name, endpoint in endpoints._EXACT.items():
        method, path = name.split()
        reads = method == "GET" or any(path.rsplit("/", 1)[-1].startswith(word) for word in reading)
        assert endpoint.scope == ("read" if reads else "user"), name
    for pattern, endpoint in endpoints._PATTERNS:
        assert endpoint.scope == ("read" if pattern.pattern.startswith("GET") else "user"), pattern.pattern


def test_a_page_of_another_site_is_refused(client: TestClient) -> None:
    headers = {"origin": "https://evil.example"}
    answer = client.post(f"{API}/experiments/create", json={"name": "a"}, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
    other = client.get(f"{API}/experiments/search", headers={"host": "evil.example"})
    assert (other.status_code, other.json()["error_code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{API}/nope"),
        ("GET", f"{API}/runs/create"),
        ("POST", "/api/3.0/mlflow/traces"),
        ("GET", "/api/2.1/unity-catalog"),
        ("GET", "/api/"),
        ("DELETE", "/ajax-api/2.0/mlflow/gateway"),
        ("GET", "/api/2.0/mlflow-artifacts/other"),
    ],
)
def test_what_is_not_there_says_so_in_mlflows_form(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    assert "Ganvas has no endpoint" in answer.json()["message"]


@pytest.mark.parametrize(
    "content", ["{", "[]", '"x', "[" * 100_000, '{"name": "a\\u0000"}', '{"name": "\\ud800"}']
)
def test_a_body_that_means_nothing_is_refused(client: TestClient, content: str) -> None:
    for path in GUARDED:
        answer = client.post(f"{API}/{path}", content=content)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.text


def test_a_body_that_is_too_large_is_refused_in_mlflows_form(client: TestClient) -> None:
    answer = client.post(f"{API}/experiments/create", content=b" " * 2_000_000)
    assert (answer.status_code, answer.json()["error_code"]) == (413, "INVALID_PARAMETER_VALUE")
    assert "limit" in answer.json()["message"]


def test_a_body_that_is_encoded_twice_is_read(mlflow: Mlflow) -> None:
    answer = mlflow.client.post(f"{API}/experiments/create", json='{"name": "twice"}')
    assert answer.json() == {"experiment_id": "1"}


def test_errors_of_ganvas_own_api_keep_their_form(client: TestClient) -> None:
    assert client.get("/jobs/none").json()["error"]["code"] == "job_not_found"


def test_the_service_says_what_it_has(client: TestClient) -> None:
    info = client.get("/api/3.0/mlflow/server-info").json()
    assert (info["store_type"], info["multipart_uploads_enabled"]) == ("SqlStore", False)
    assert client.get("/health").text == "OK"
    assert client.get("/version").status_code == 200
    assert client.get("/ajax-api/2.0/mlflow/experiments/get?experiment_id=0").status_code == 200
