"""Runs as an agent reads them, asked with the protocol's own client."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from api.client.client import AsyncClient
from ganvas.cli import cli
from ganvas.commands.agents.server import DATA, INSTRUCTIONS, build_server
from tests.conftest import LiveService
from tests.support.fake_worker import FakeWorker, connect
from tests.support.services import make_finding

mcp = pytest.importorskip("mcp")
READING = {
    "list_runs", "get_run", "compare_runs", "get_curves", "get_grid", "get_findings", "get_log", "list_recipes",
    "get_recipe",
}  # fmt: skip


@pytest.fixture
def worker(live_service: LiveService) -> Iterator[FakeWorker]:
    """A worker whose run has grids, losses and a fault."""
    worker = connect(live_service.url)
    worker.submit(name="my-gan")
    worker.claim()
    worker.train(300)
    worker.post(make_finding(200, 120).model_dump(mode="json"))
    yield worker
    worker.client.close()


def ask(url: str, use: Callable[[Any], Awaitable[Any]], *, allow_submit: bool = False) -> Any:
    async def main() -> Any:
        server = build_server(AsyncClient(url), allow_submit=allow_submit)
        async with mcp.Client(server) as client:
            return await asyncio.wait_for(use(client), 60)

    return asyncio.run(main())


def call(url: str, tool: str, *, allow_submit: bool = False, **arguments: Any) -> Any:
    """The structured answer of a tool, or its error as a text."""
    answer = ask(url, lambda client: client.call_tool(tool, arguments), allow_submit=allow_submit)
    return answer.content[0].text if answer.is_error else answer.structured_content


def test_tools_that_change_runs_are_there_only_where_that_was_allowed(live_service: LiveService) -> None:
    async def list_tools(client: Any) -> dict[str, Any]:
        return {tool.name: tool for tool in (await client.list_tools()).tools}

    reading = ask(live_service.url, list_tools)
    assert set(reading) == READING
    assert all(tool.annotations.read_only_hint for tool in reading.values())
    assert all(DATA in reading[name].description for name in ("list_runs", "get_run", "get_log"))
    assert DATA in INSTRUCTIONS
    allowed = ask(live_service.url, list_tools, allow_submit=True)
    assert set(allowed) - READING == {"submit_run", "cancel_run"}
    assert not any(allowed[name].annotations.read_only_hint for name in ("submit_run", "cancel_run"))


def test_a_run_is_listed_and_read_by_its_name(live_service: LiveService, worker: FakeWorker) -> None:
    (listed,) = call(live_service.url, "list_runs", search="my-gan state:running")["runs"]
    assert (listed["id"], listed["iteration"], listed["severity"]) == (worker.job_id, 300, "serious")
    run = call(live_service.url, "get_run", run="my-gan")
    assert run["spec"]["dataset"]["name"] == "mnist"
    assert run["findings"][0]["rule"] == "mode_collapse"
    assert run["page"] == f"{live_service.url}/runs/{worker.job_id}"
    findings = call(live_service.url, "get_findings", run="my-gan")["findings"]
    assert findings[0]["advice"]
    assert call(live_service.url, "get_log", run="my-gan")["lines"]


def test_curves_are_thinned_and_a_grid_is_a_picture(live_service: LiveService, worker: FakeWorker) -> None:
    curves = call(live_service.url, "get_curves", run="my-gan", metrics=["loss/generator"], points=5)["curves"]
    assert list(curves) == ["loss/generator"]
    assert 1 < len(curves["loss/generator"]["iterations"]) <= 10

    async def look(client: Any) -> Any:
        newest = await client.call_tool("get_grid", {"run": "my-gan"})
        earlier = await client.call_tool("get_grid", {"run": "my-gan", "iteration": 150})
        return newest, earlier

    newest, earlier = ask(live_service.url, look)
    said, picture = newest.content
    assert said.text.startswith("Iteration 300: 8 × 8 images of 28 × 28 pixels.")
    assert (picture.type, picture.mime_type) == ("image", "image/png")
    assert earlier.content[0].text.startswith("Iteration 100:")


def test_runs_are_compared_field_by_field(live_service: LiveService, worker: FakeWorker) -> None:
    worker.submit(name="other", batch_size=32)
    compared = call(live_service.url, "compare_runs", runs=["my-gan", "other"])
    assert compared["fields"]["batch_size"][1] == "32"
    assert compared["metrics"]["loss/generator"]["better"] == "neither way"
    values = compared["metrics"]["loss/generator"]["values"]
    assert isinstance(values[0], float)
    assert values[1] is None


def test_a_recipe_is_found_submitted_with_changes_and_cancelled(live_service: LiveService) -> None:
    url = live_service.url
    assert [each["name"] for each in call(url, "list_recipes", text="gaussians-ring")["recipes"]] == [
        "gaussians-ring"
    ]
    assert "name: gaussians-ring" in call(url, "get_recipe", name="gaussians-ring")["result"]
    made = call(
        url, "submit_run", allow_submit=True, recipe="gaussians-ring", changes={"iterations": 50, "name": "ring"}
    )
    assert (made["state"], made["iterations"], made["name"]) == ("queued", 50, "ring")
    spec = call(url, "get_run", run="ring")["spec"]
    again = call(url, "submit_run", allow_submit=True, spec=spec, changes={"seed": 3}, made_from="ring")
    assert call(url, "get_run", run=again["id"])["made_from"] == made["id"]
    assert call(url, "cancel_run", allow_submit=True, run=made["id"])["state"] == "cancelled"


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("get_run", {"run": "none"}, "There is no such job"),
        ("get_grid", {"run": "none"}, "There is no such job"),
        ("list_runs", {"search": "sed=1"}, "did you mean seed?"),
        ("get_recipe", {"name": "none"}, "list_recipes lists them"),
        ("submit_run", {}, "Give either the name of a recipe or a spec."),
        ("submit_run", {"recipe": "first-light", "changes": {"batch_size": "many"}}, "batch_size"),
        ("get_curves", {"run": "none", "points": 10_000}, "points"),
    ],
)
def test_an_agent_is_told_what_is_wrong(
    live_service: LiveService, tool: str, arguments: dict[str, Any], words: str
) -> None:
    answer = call(live_service.url, tool, allow_submit=True, **arguments)
    assert isinstance(answer, str)
    assert words in answer


def test_a_submit_that_was_not_allowed_is_no_tool(live_service: LiveService) -> None:
    assert call(live_service.url, "submit_run", recipe="first-light") == "Unknown tool: submit_run"


def test_the_scope_of_the_token_holds_for_agents_too(
    live_service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = ["--data-dir", str(live_service.settings.home)]
    token = (
        CliRunner().invoke(cli, ["token", "create", "--name", "agent", "--scope", "read", *home]).stdout.strip()
    )
    monkeypatch.setenv("GANVAS_TOKEN", token)
    assert call(live_service.url, "list_runs") == {"runs": [], "next": None}
    assert "scope" in call(live_service.url, "submit_run", allow_submit=True, recipe="first-light")


def test_the_command_speaks_the_protocol_on_its_own_output(live_service: LiveService, worker: FakeWorker) -> None:
    environment = {**os.environ, "GANVAS_URL": live_service.url, "PYTHONPATH": os.pathsep.join(sys.path)}
    server = mcp.StdioServerParameters(command=sys.executable, args=["-m", "ganvas", "mcp"], env=environment)

    async def main() -> Any:
        async with mcp.Client(server) as client:
            return await asyncio.wait_for(client.call_tool("list_runs", {}), 60)

    answer = asyncio.run(main())
    assert json.loads(answer.content[0].text)["runs"][0]["id"] == worker.job_id


def test_without_the_package_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganvas.commands.options.find_spec", lambda _: None)
    outcome = CliRunner().invoke(cli, ["mcp"])
    assert outcome.exit_code == 1
    assert "pip install 'ganvas[mcp]'" in outcome.output
