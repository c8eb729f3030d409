"""HTTP transport of both clients: one connection pool, and errors as the classes of `api.errors`."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar
from urllib.parse import quote

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


def _wait_for_turn(error: TooManyRequests, tries: int) -> None:
    """Wait as long as the service asks for; raises the error after BUSY_TRIES, or if the wait would be long."""
    seconds = error.details.get("retry_after_seconds")
    if tries >= BUSY_TRIES or not isinstance(seconds, int | float) or seconds > LONGEST_BUSY_SECONDS:
        raise error
    time.sleep(seconds)


def quote_id(value: str) -> str:
    """Quote any text as one segment of a path."""
    return quote(value, safe="")


class Transport:
    """One service's address, token and connection pool. Threads may share it.

    url: the service; without it GANVAS_URL, without that http://127.0.0.1:8000.
    token: sent as a bearer token; without it GANVAS_TOKEN, if set.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        # Loaded with the first client: importing httpx takes longer than importing all the rest.
        import httpx

        named = (url or os.environ.get("GANVAS_URL") or DEFAULT_URL).strip().rstrip("/")
        self.url = named if "://" in named else f"http://{named}"
        # A token read from a file or a terminal may end with a line break.
        token = (token or os.environ.get("GANVAS_TOKEN") or "").strip()
        try:
            # A proxy from the environment cannot reach this machine's loopback address.
            trust_env = httpx.URL(self.url).host not in LOOPBACK_HOSTS
            self._http = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=TIMEOUT,
                trust_env=trust_env,
            )
        except httpx.InvalidURL as error:
            raise ServiceUnreachable(self.url, str(error)) from None

    def request(self, method: str, path: str, *, delays: Sequence[float] = (), **options: Any) -> "httpx.Response":
        """Send a request and return the answer; any status but 2xx is raised as its class of `api.errors`.

        delays: seconds before each further try when the connection fails; only for requests that may safely arrive
        twice. A GET that finds the service busy is asked again when it says.
        """
        for tries in count(1):
            try:
                return self._try(method, path, delays, options)
            except TooManyRequests as error:
                if method != "GET":
                    raise
                _wait_for_turn(error, tries)
        raise AssertionError("unreachable")  # pragma: no cover

    def _try(self, method: str, path: str, delays: Sequence[float], options: dict[str, Any]) -> "httpx.Response":
        import httpx

        for delay in (*delays, None):
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                if delay is None:
                    raise ServiceUnreachable(self.url, repr(error)) from error
                time.sleep(delay)
            else:
                return self._checked(response)
        raise AssertionError("unreachable")  # pragma: no cover

    def fetch(self, model: type[Model], method: str, path: str, **options: Any) -> Model:
        """Send a request as `request` does and return the answer as this schema."""
        return self.parse(model, self.request(method, path, **options))

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
                    if response.is_success:
                        break
                    response.read()
                    try:
                        self._checked(response)
                    except TooManyRequests as error:
                        opened.pop_all().close()
                        _wait_for_turn(error, tries)
                yield response
        except httpx.TransportError as error:
            raise ServiceUnreachable(self.url, repr(error)) from error

    def _checked(self, response: "httpx.Response") -> "httpx.Response":
        if response.is_success:
            return response
        try:
            body = response.json()["error"]
            error = ERRORS[body["code"]](body["message"])
            error.details = {**body.get("details", {}), "error_id": body.get("id")}
        except (ValueError, KeyError, TypeError):
            raise UnexpectedAnswer(self.url, response.status_code) from None
        raise error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
