"""HTTP transport of the clients, blocking or not: connections, and errors as the classes of `api.errors`."""

import os
import re
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError

from api.errors import ERRORS, ServiceError, TooManyRequests

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8000"
# A service that is busy names the time after which the same read may be asked again.
BUSY_TRIES, LONGEST_BUSY_SECONDS = 6, 10.0
# Seconds to connect, read, write, and wait for a connection of the pool.
TIMEOUT = (5.0, 30.0, 30.0, 30.0)
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

Model = TypeVar("Model", bound=BaseModel)
Answer = TypeVar("Answer")
Connections = TypeVar("Connections")


class ServiceUnreachable(ServiceError):
    """No service answers at the address, or the connection broke before the answer was complete."""

    code: ClassVar[str] = "service_unreachable"
    status: ClassVar[int] = 503

    def __init__(self, url: str, cause: str = "") -> None:
        super().__init__(
            f"No Ganvas service answers at {url}. "
            "Start one with `ganvas up`, or name another with --url or GANVAS_URL.",
            url=url,
            cause=cause,
        )


class AddressInvalid(ServiceUnreachable):
    """No service can have this address, now or later."""

    code: ClassVar[str] = "address_invalid"
    status: ClassVar[int] = 400

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.text = f"{url!r} is not the address of a service; write http://HOST:PORT, or https://."
        self.args = (self.text,)


class UnexpectedAnswer(ServiceError):
    """The answer does not come from a Ganvas service, but from a proxy or another program on that port.

    answered: the HTTP status of the answer.
    """

    code: ClassVar[str] = "unexpected_answer"
    status: ClassVar[int] = 502

    def __init__(self, url: str, answered: int) -> None:
        self.answered = answered
        super().__init__(
            f"{url} answered with status {answered}, but not as a Ganvas service does; check the address.",
            url=url,
            answered=answered,
        )


def is_temporary(error: ServiceError) -> bool:
    """Return whether the same request may succeed later: no answer, a status of 5xx, or too many requests."""
    if isinstance(error, UnexpectedAnswer):
        return error.answered >= 500 or error.answered in (408, 429)
    return error.status >= 500 or isinstance(error, TooManyRequests)


def _read_turn(error: TooManyRequests, tries: int) -> float:
    """Return the seconds that the service asks for; raises the error after BUSY_TRIES, or if the wait is long."""
    seconds = error.details.get("retry_after_seconds")
    if tries >= BUSY_TRIES or not isinstance(seconds, int | float) or seconds > LONGEST_BUSY_SECONDS:
        raise error
    return seconds


def quote_id(value: str) -> str:
    """Quote any text as one segment of a path."""
    return quote(value, safe="")


@dataclass(frozen=True)
class Send(Generic[Answer]):
    """One request to send once. `read` makes the answer of it; a ValueError there is no answer of a service."""

    method: str
    path: str
    read: "Callable[[httpx.Response], Answer]"
    options: dict[str, Any]


@dataclass(frozen=True)
class Pause:
    """Seconds to let pass."""

    seconds: float


# A call to the service without any way to reach it: it yields what is to be done and is sent what came of it, or
# thrown the ServiceError. So one description serves both transports.
Call = Generator[Send[Any] | Pause, Any, Answer]


def ask(
    method: str,
    path: str,
    read: "Callable[[httpx.Response], Answer]",
    *,
    delays: Sequence[float] = (),
    **options: Any,
) -> Call[Answer]:
    """Send a request and return what `read` makes of its answer.

    delays: seconds before each further try when the connection fails; only for requests that may safely arrive
    twice. A GET that finds the service busy is asked again when it says.
    """
    send = Send(method, path, read, options)
    for tries in count(1):
        try:
            return (yield from _try(send, delays))
        except TooManyRequests as error:
            if method != "GET":
                raise
            yield Pause(_read_turn(error, tries))
    raise AssertionError("unreachable")  # pragma: no cover


def _try(send: Send[Answer], delays: Sequence[float]) -> Call[Answer]:
    for delay in delays:
        try:
            answer: Answer = yield send
        except ServiceUnreachable:
            yield Pause(delay)
        else:
            return answer
    last: Answer = yield send
    return last


def fetch(model: type[Model], method: str, path: str, **options: Any) -> Call[Model]:
    """Send a request as `ask` does and return the answer as this schema."""
    return ask(method, path, lambda response: model.model_validate_json(response.content), **options)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\s\x00-\x1f\x7f]", url)


class _Address:
    """One service's address and token, for either kind of connections.

    url: the service; without it GANVAS_URL, without that http://127.0.0.1:8000.
    token: sent as a bearer token; without it GANVAS_TOKEN, if set.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        named = (url or os.environ.get("GANVAS_URL") or DEFAULT_URL).strip().rstrip("/")
        has_scheme = "://" in named or re.match("https?:", named) is not None
        self.url = named if has_scheme else f"http://{named}"
        if not _is_address(self.url):
            raise AddressInvalid(named)
        # A token read from a file or a terminal may end with a line break.
        self._token = (token or os.environ.get("GANVAS_TOKEN") or "").strip()

    def _connect(self, make: "Callable[..., Connections]") -> "Connections":
        # Loaded with the first client: importing httpx takes longer than importing all the rest.
        import httpx

        try:
            return make(
                base_url=self.url,
                headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
                timeout=TIMEOUT,
                # A proxy from the environment cannot reach this machine's loopback address.
                trust_env=httpx.URL(self.url).host not in LOOPBACK_HOSTS,
            )
        except httpx.InvalidURL as error:
            raise AddressInvalid(self.url) from error

    def _read(self, send: Send[Answer], response: "httpx.Response") -> Answer:
        self._check(response)
        try:
            return send.read(response)
        except ValueError as error:
            raise UnexpectedAnswer(self.url, response.status_code) from error

    def _check(self, response: "httpx.Response") -> None:
        """Raise any status but 2xx as its class of `api.errors`."""
        if response.is_success:
            return
        try:
            body = response.json()["error"]
            error = ERRORS[body["code"]](body["message"])
            error.details = {**body.get("details", {}), "error_id": body.get("id")}
        except (ValueError, KeyError, TypeError):
            raise UnexpectedAnswer(self.url, response.status_code) from None
        raise error

    def _lost(self, error: Exception) -> ServiceUnreachable:
        return ServiceUnreachable(self.url, repr(error))


class Transport(_Address):
    """One service's address, token and connection pool. Threads may share it."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        import httpx

        super().__init__(url, token)
        self._http = self._connect(httpx.Client)

    def run(self, call: Call[Answer]) -> Answer:
        """Do what the call asks for, and return its answer."""
        try:
            step = next(call)
            while True:
                try:
                    answer = self._do(step)
                except ServiceError as error:
                    step = call.throw(error)
                else:
                    step = call.send(answer)
        except StopIteration as end:
            result: Answer = end.value
            return result

    def _do(self, step: Send[Any] | Pause) -> Any:
        import httpx

        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        try:
            response = self._http.request(step.method, step.path, **step.options)
        except httpx.TransportError as error:
            raise self._lost(error) from error
        return self._read(step, response)

    def request(self, method: str, path: str, *, delays: Sequence[float] = (), **options: Any) -> "httpx.Response":
        """Send a request as `ask` does and return the answer as it came."""
        return self.run(ask(method, path, lambda response: response, delays=delays, **options))

    def fetch(self, model: type[Model], method: str, path: str, **options: Any) -> Model:
        """Send a request as `ask` does and return the answer as this schema."""
        return self.run(fetch(model, method, path, **options))

    def parse(self, model: type[Model], response: "httpx.Response") -> Model:
        """Read an answer as this schema; raises UnexpectedAnswer for any other answer."""
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            raise UnexpectedAnswer(self.url, response.status_code) from error

    @contextmanager
    def stream(self, path: str, **options: Any) -> "Iterator[httpx.Response]":
        """GET an answer piece by piece; a connection that breaks while it is read raises ServiceUnreachable."""
        import httpx

        try:
            with ExitStack() as opened:
                for tries in count(1):
                    response = opened.enter_context(self._http.stream("GET", path, **options))
                    try:
                        if not response.is_success:
                            response.read()
                        self._check(response)
                        break
                    except TooManyRequests as error:
                        opened.pop_all().close()
                        time.sleep(_read_turn(error, tries))
                yield response
        except httpx.TransportError as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncTransport(_Address):
    """The same for coroutines of one event loop."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        import httpx

        super().__init__(url, token)
        self._http = self._connect(httpx.AsyncClient)

    async def run(self, call: Call[Answer]) -> Answer:
        """Do what the call asks for, and return its answer."""
        try:
            step = next(call)
            while True:
                try:
                    answer = await self._do(step)
                except ServiceError as error:
                    step = call.throw(error)
                else:
                    step = call.send(answer)
        except StopIteration as end:
            result: Answer = end.value
            return result

    async def _do(self, step: Send[Any] | Pause) -> Any:
        # Loaded by coroutines alone: it takes a fifth of the time of the client without it.
        import asyncio

        import httpx

        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        try:
            response = await self._http.request(step.method, step.path, **step.options)
        except httpx.TransportError as error:
            raise self._lost(error) from error
        return self._read(step, response)

    @asynccontextmanager
    async def stream(self, path: str, **options: Any) -> "AsyncIterator[httpx.Response]":
        """GET an answer piece by piece; a connection that breaks while it is read raises ServiceUnreachable."""
        import asyncio

        import httpx

        try:
            async with AsyncExitStack() as opened:
                for tries in count(1):
                    response = await opened.enter_async_context(self._http.stream("GET", path, **options))
                    try:
                        if not response.is_success:
                            await response.aread()
                        self._check(response)
                        break
                    except TooManyRequests as error:
                        await opened.pop_all().aclose()
                        await asyncio.sleep(_read_turn(error, tries))
                yield response
        except httpx.TransportError as error:
            raise self._lost(error) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
