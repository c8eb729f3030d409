"""Bodies: whose they are is asked before they are read, and what they take together is bounded."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from api.errors import NotAuthenticated, TooManyRequests
from api.server.access.grants import ALL_SCOPES, ATTEMPT_SCOPES, Grant
from api.server.http import middleware, request_bodies
from api.server.http.middleware import AccessMiddleware
from api.server.http.request_bodies import LINGER_BYTES, MAX_OPEN_BODY_BYTES, ByteBudget
from api.server.settings import MIB, Settings

PIECE = 65_536
USER = Grant(ALL_SCOPES, "user")
ENDED = Grant(ATTEMPT_SCOPES, "job-1", ("job", 1), is_over=True)


class Doorkeeper:
    """An authenticator that knows one grant; without one it knows nobody."""

    def __init__(self, grant: Grant | None) -> None:
        self.grant = grant

    async def find_grant(self, *_: object, **__: object) -> Grant:
        if self.grant is None:
            raise NotAuthenticated
        return self.grant


class Connection:
    """A client that goes on sending until it is answered to the end; `log` has the order of things."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        self.log: list[str] = []
        self.status = 0
        self.headers: dict[bytes, bytes] = {}

    async def receive(self) -> dict[str, Any]:
        self.log.append("read")
        piece = min(PIECE, self.size - self.sent)
        self.sent += piece
        return {"type": "http.request", "body": b"x" * piece, "more_body": self.sent < self.size}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.log.append("answer")
            self.status, self.headers = message["status"], dict(message["headers"])


class Application:
    """Answers everything; reads the body as routes do."""

    state = type("State", (), {})()

    def __init__(self, reads: bool = True) -> None:
        self.reads = reads
        self.bodies: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, self.reads
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        self.bodies.append(size)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def ask(
    grant: Grant | None, method: str, path: str, size: int, application: Application | None = None
) -> Connection:
    connection, app = Connection(size), application or Application()
    headers = [(b"host", b"localhost"), (b"content-length", str(size).encode())]
    scope = {
        "type": "http", "method": method, "path": path, "headers": headers, "query_string": b"", "app": app,
        "client": ("127.0.0.1", 1),
    }  # fmt: skip
    gate = AccessMiddleware(app, Settings(), Doorkeeper(grant))  # type: ignore[arg-type]
    asyncio.run(gate(scope, connection.receive, connection.send))
    return connection


@pytest.mark.parametrize(
    ("grant", "method", "path", "status"),
    [
        (None, "POST", "/jobs", 401),
        (None, "POST", "/artifacts", 401),
        (None, "PUT", f"/artifacts/{'a' * 64}", 401),
        (None, "GET", "/jobs", 401),
        (None, "GET", "/healthz", 200),
        (None, "DELETE", "/healthz", 200),
        (None, "GET", "/static/any/any.js", 200),
        (USER, "GET", "/jobs", 200),
        (ENDED, "PUT", f"/artifacts/{'a' * 64}", 409),
        (ENDED, "POST", "/artifacts", 409),
        (USER, "POST", "/jobs", 413),
        (None, "POST", "/login", 413),
    ],
)
def test_what_is_not_wanted_is_answered_before_a_byte_of_it_is_read(
    grant: Grant | None, method: str, path: str, status: int
) -> None:
    connection = ask(grant, method, path, 3_000 * MIB)
    assert (connection.status, connection.log[0]) == (status, "answer")
    # The client may go on for a moment, so that it finds the answer; then the connection ends.
    assert connection.sent <= LINGER_BYTES + PIECE
    assert connection.headers[b"connection"] == b"close"


def test_control_without_the_rule_for_methods_a_body_is_read_for_an_address_that_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_bodies, "_WITH_BODY", frozenset({"GET", "POST"}))
    assert ask(None, "GET", "/healthz", MAX_OPEN_BODY_BYTES).log[0] == "read"


@pytest.mark.parametrize(
    ("grant", "path", "size"), [(USER, "/jobs", MIB), (USER, "/artifacts", 8 * MIB), (None, "/login", 65_536)]
)
def test_a_body_of_the_largest_size_arrives_whole_and_keeps_its_connection(
    grant: Grant | None, path: str, size: int
) -> None:
    application = Application()
    connection = ask(grant, "POST", path, size, application)
    assert (connection.status, application.bodies) == (200, [size])
    assert b"connection" not in connection.headers


def test_an_upload_is_handed_on_piece_by_piece() -> None:
    application = Application()
    connection = ask(USER, "PUT", f"/artifacts/{'a' * 64}", 64 * MIB, application)
    assert (connection.status, application.bodies) == (200, [64 * MIB])


# The budget.


def run_together(budget: ByteBudget, sizes: list[int], hold: Callable[[], Any]) -> list[str]:
    async def use(size: int) -> str:
        try:
            async with budget.hold(size):
                await hold()
        except TooManyRequests as error:
            return f"{error.status} after {error.details['retry_after_seconds']} s"
        return "served"

    async def use_all() -> list[str]:
        return await asyncio.gather(*map(use, sizes))

    return asyncio.run(use_all())


def test_bodies_in_flight_never_take_more_than_their_budget_and_each_has_its_turn() -> None:
    budget, held, most = ByteBudget(100), 0, 0

    async def hold() -> None:
        nonlocal held, most
        held += 1
        most = max(most, held)
        await asyncio.sleep(0)
        held -= 1

    assert run_together(budget, [30] * 50, hold) == ["served"] * 50
    assert most == 3
    # One that is larger than the budget goes alone.
    assert run_together(budget, [1000, 1], hold) == ["served"] * 2
    assert budget._free == 100


def test_who_finds_no_room_is_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_bodies, "WAIT_SECONDS", 0.01)
    budget, is_over = ByteBudget(100), asyncio.Event()

    async def hold() -> None:
        await is_over.wait()

    async def use() -> list[str]:
        async def late() -> str:
            with pytest.raises(TooManyRequests) as refused:
                async with budget.hold(60):
                    pass
            is_over.set()
            return str(refused.value.details["retry_after_seconds"])

        async def first() -> str:
            async with budget.hold(60):
                await hold()
            return "served"

        return await asyncio.gather(first(), late())

    assert asyncio.run(use()) == ["served", "2"]
    assert (budget._free, len(budget._waiting)) == (100, 0)


# Turns.


def count_inside(grant: Grant, method: str, path: str, readers: int) -> tuple[int, bool]:
    """Return how many of these readers are in the application at once, and whether a worker's request then is."""
    inside, entered = 0, []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal inside
        if scope["path"] == path:
            entered.append(True)
        else:
            inside += 1
            await asyncio.Event().wait()

    async def run() -> tuple[int, bool]:
        door = Doorkeeper(USER)
        gate = AccessMiddleware(application, Settings(), door)  # type: ignore[arg-type]

        async def call(method: str, path: str) -> None:
            scope = {
                "type": "http", "method": method, "path": path, "headers": [(b"host", b"localhost")],
                "query_string": b"", "client": ("127.0.0.1", 1),
            }  # fmt: skip
            connection = Connection(0)
            await gate(scope, connection.receive, connection.send)

        tasks = [asyncio.create_task(call("GET", "/jobs")) for _ in range(readers)]
        await asyncio.sleep(0.01)
        door.grant = grant
        worker = asyncio.create_task(call(method, path))
        await asyncio.sleep(0.01)
        for task in (*tasks, worker):
            task.cancel()
        await asyncio.gather(*tasks, worker, return_exceptions=True)
        return inside, bool(entered)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("grant", "method", "path", "finds_a_turn"),
    [
        (Grant(ATTEMPT_SCOPES, "a", ("job", 1)), "POST", "/jobs/job/attempts/1/heartbeat", True),
        (Grant(frozenset({"open", "worker"}), "w"), "POST", "/workers/claim", True),
        (USER, "POST", "/jobs/job/attempts/1/events", True),
        (USER, "GET", "/runs/any", False),
    ],
)
def test_readers_that_hang_leave_turns_for_workers(
    grant: Grant, method: str, path: str, finds_a_turn: bool
) -> None:
    inside, found = count_inside(grant, method, path, readers=60)
    assert (inside, found) == (middleware.READERS_AT_ONCE, finds_a_turn)


def test_turns_and_slots_leave_threads_for_workers() -> None:
    assert middleware.READERS_AT_ONCE + middleware.STRANGERS_AT_ONCE <= 32
