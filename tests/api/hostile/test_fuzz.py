"""Every operation of the OpenAPI schema, asked what fits its schema and what does not.

GANVAS_FUZZ_EXAMPLES says how often each is asked (`make fuzz`: 250 times of either kind).
"""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import uvicorn

from api.main import build_service
from api.server.http.openapi import build_openapi
from api.server.settings import Settings
from ganvas.app import build_app
from tests.api.hostile.attempt import HeldAttempt
from tests.api.hostile.judging import judge_error
from tests.support.services import QUIET

EXAMPLES = int(os.environ.get("GANVAS_FUZZ_EXAMPLES", "8"))
# Far more than any answer takes, however busy the machine is.
PATIENCE_SECONDS = 120
SCHEMA = build_openapi(build_service(Settings(home=Path("/nowhere"))))
LABELS = [f"{method.upper()} {path}" for path, methods in SCHEMA["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """Every operation by its label; loaded here, because the other processes of a run need none of it."""
    import schemathesis

    found = (each.ok() for each in schemathesis.openapi.from_dict(SCHEMA).get_all_operations())
    operations = {operation.label: operation for operation in found}
    assert list(operations) == LABELS
    return operations


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application on loopback; its streams end as soon as they have begun."""
    home = tmp_path_factory.mktemp("fuzzed")
    app = build_app(Settings(home=home, submits_per_minute=1_000_000, **QUIET))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        time.sleep(0.01)
    app.state.services.feed.end_streams()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


class Target:
    """A job that runs, replaced by another when a fuzzed request has ended it."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.attempt = self._hold()

    def _hold(self) -> HeldAttempt:
        # Jobs that fuzzing has submitted would be claimed first.
        while self._client.post("/workers/claim", json={"worker": "w"}).status_code == 200:
            pass
        return HeldAttempt(self._client)

    def renew(self) -> None:
        """Hold a running job again."""
        if self._client.post(f"{self.attempt.path}/heartbeat").status_code != 200:
            self.attempt = self._hold()


@pytest.mark.parametrize("label", LABELS)
def test_no_request_makes_an_operation_fail(service_url: str, operations: dict[str, Any], label: str) -> None:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    kept = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    modes = [
        operations[label].as_strategy(generation_mode=mode)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ]
    asked = 0

    @settings(
        max_examples=2 * EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(*modes), of_a_real_job=st.booleans())
    def ask(case: Any, of_a_real_job: bool) -> None:
        nonlocal asked
        asked += 1
        if of_a_real_job and "job_id" in case.path_parameters:
            target.renew()
            case.path_parameters["job_id"] = target.attempt.job_id
            if "attempt" in case.path_parameters:
                case.path_parameters["attempt"] = 1
        answer = case.call(base_url=service_url, timeout=PATIENCE_SECONDS, session=session)
        case.validate_response(answer, checks=kept)
        if answer.status_code >= 400:
            kind = answer.headers["content-type"][0]
            seen = httpx.Response(answer.status_code, headers={"content-type": kind}, content=answer.content)
            judge_error(seen, label, str(case.body) + str(case.query) + str(case.headers))

    with requests.Session() as session, httpx.Client(base_url=service_url, timeout=PATIENCE_SECONDS) as client:
        target = Target(client)
        ask()
    assert asked >= 1
