"""The client of coroutines against a real service: the same calls as the blocking one, and none of them blocks."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ganvas
from api.attempts.schemas import ClaimRequest, FinishPost
from api.client import transport
from api.client.client import AsyncClient, Client, WorkerClient
from api.client.transport import AsyncTransport
from api.errors import JobAmbiguous, JobNotFound, TooManyRequests
from api.events.schemas import EventsPost, NumberedEvent
from ganlib.events import MetricsLogged
from tests.api.client.test_client import NOW, SPEC
from tests.api.client.test_transport import busy, reply, serve

if TYPE_CHECKING:
    from tests.conftest import LiveService

__all__ = ["serve"]
Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]


def run(url: str, use: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with AsyncClient(url) as client:
            return await asyncio.wait_for(use(client), 60)

    return asyncio.run(main())


def post(worker: WorkerClient, job_id: str, seq: int, iteration: int) -> None:
    event = MetricsLogged(iteration=iteration, values={"loss/generator": 0.5})
    numbered = [NumberedEvent(seq=seq, at=NOW, event=event)]
    worker.post_events(job_id, 1, EventsPost(events=numbered).model_dump_json().encode())


def test_both_clients_have_the_same_calls_with_the_same_arguments() -> None:
    def list_calls(client: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_")
        }

    blocking, other = list_calls(Client), list_calls(AsyncClient)
    assert blocking.pop("close") == other.pop("aclose")
    assert blocking == other
    assert blocking["get"] == ["self", "job_id"]
    assert all(getattr(Client, name).__doc__ and getattr(AsyncClient, name).__doc__ for name in blocking)
    assert list(inspect.signature(Client("x").get).parameters) == ["job_id"]


def test_what_ganvas_offers_can_be_listed_and_had() -> None:
    assert {"AsyncClient", "Client", "JobNotFound", "WaitTimedOut"} <= set(dir(ganvas))
    assert all(getattr(ganvas, name) is not None for name in ganvas.__all__)
    with pytest.raises(AttributeError, match="Cleint"):
        _ = ganvas.Cleint


def test_jobs_are_submitted_found_by_name_edited_and_listed_at_once(live_service: "LiveService") -> None:
    async def use(client: AsyncClient) -> None:
        jobs = await asyncio.gather(*(client.submit({**SPEC, "name": f"job {index}"}) for index in range(5)))
        assert (await client.get("job 3")).id == jobs[3].id
        assert (await client.edit("job 3", add_tags=["good"])).tags == ["first", "good"]
        assert {job.id async for job in client.list()} == {job.id for job in jobs}
        assert [job.name async for job in client.list(tag="good")] == ["job 3"]
        assert (await client.cancel("job 1")).state == "cancelled"
        await client.submit({**SPEC, "name": "job 2"})
        with pytest.raises(JobAmbiguous, match=jobs[2].id):
            await client.get("job 2")
        with pytest.raises(JobNotFound):
            await client.get("../workers")
        assert await client.page_url("job 3") == f"{live_service.url}/runs/job%203"

    run(live_service.url, use)


def test_a_job_is_waited_for_while_the_loop_goes_on(live_service: "LiveService", tmp_path: Path) -> None:
    async def use(client: AsyncClient) -> None:
        job = await client.submit(SPEC)
        seen: list[tuple[str, int]] = []
        waiting = asyncio.create_task(
            client.wait("small", on_update=lambda update: seen.append((update.state, update.iteration)))
        )
        with WorkerClient(live_service.url) as worker:
            await asyncio.to_thread(worker.claim_job, ClaimRequest(worker="test"))
            await asyncio.to_thread(post, worker, job.id, 0, 10)
            while ("running", 10) not in seen:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(worker.finish, job.id, 1, FinishPost(end="succeeded", events_count=1))
        assert (await waiting).state == "succeeded"
        assert (await client.curve_columns(job.id))["loss/generator"].iterations[0] == 10
        assert [message.id async for message in _first(client.stream(job.id, 0))]

    run(live_service.url, use)


async def _first(messages: Any) -> Any:
    async for message in messages:
        yield message
        return


def test_a_busy_service_is_asked_again_when_it_says_and_not_for_ever(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    answers = [(429, busy(2)), (429, busy(3))]
    url = serve(lambda handler: reply(handler, *(answers.pop(0) if answers else (200, b"{}"))))

    async def ask() -> None:
        connection = AsyncTransport(url)
        async with connection.stream("/healthz") as response:
            assert await response.aread() == b"{}"
        answers.extend([(429, busy(1))] * 10)
        with pytest.raises(TooManyRequests):
            await connection.run(transport.ask("GET", "/healthz", json.loads))
        await connection.aclose()

    asyncio.run(ask())
    assert slept == [2, 3, *[1] * (transport.BUSY_TRIES - 1)]
