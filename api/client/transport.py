"""How both clients talk HTTP: one connection pool, typed errors, and a sentence when nobody answers."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from api.errors import ERRORS, ServiceError

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

Model = TypeVar("Model", bound=BaseModel)


class ServiceUnreachable(ServiceError):
    """Nothing answers at the service's address, or the connection broke before the answer was complete."""

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
    """Something answered, but not as a Ganvas service does: a proxy, or another program on that port.

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


def may_pass(error: ServiceError) -> bool:
    """Whether the same request may succeed later: nobody answered, or the service said 5xx."""
    if isinstance(error, UnexpectedAnswer):
        return error.answered >= 500 or error.answered in (408, 429)
    return error.status >= 500


def quote_id(value: str) -> str:
    """Make any text one segment of a path."""
    return quote(value, safe="")


class Transport:
    """One service's address, token and connection pool. Threads may share it.

    url: the service; without it GANVAS_URL, without that http://127.0.0.1:8000.
    token: sent as a bearer token; without it GANVAS_TOKEN, if set.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        named = (url or os.environ.get("GANVAS_URL") or DEFAULT_URL).strip().rstrip("/")
        self.url = named if "://" in named else f"http://{named}"
        # A token that was read from a file or through a terminal brings the end of its line with it.
        token = (token or os.environ.get("GANVAS_TOKEN") or "").strip()
        try:
            # A proxy from the environment cannot reach this machine's own loopback address.
            trust_env = httpx.URL(self.url).host not in LOOPBACK_HOSTS
            self._http = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=TIMEOUT,
                trust_env=trust_env,
            )
        except httpx.InvalidURL as error:
            raise ServiceUnreachable(self.url, str(error)) from None

    def request(self, method: str, path: str, *, delays: Sequence[float] = (), **options: Any) -> httpx.Response:
        """Send a request and return the answer; any status but 2xx is raised as its class of `api.errors`.

        delays: seconds to wait before each further try when the connection fails; give some only where a
        request that arrives twice does no harm.
        """
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

    def parse(self, model: type[Model], response: httpx.Response) -> Model:
        """Read an answer as this schema; one that is something else raises UnexpectedAnswer."""
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            raise UnexpectedAnswer(self.url, response.status_code) from error

    @contextmanager
    def stream(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        """GET an answer piece by piece; a connection that breaks while it is read raises ServiceUnreachable."""
        try:
            with self._http.stream("GET", path, **options) as response:
                if not response.is_success:
                    response.read()
                yield self._checked(response)
        except httpx.TransportError as error:
            raise ServiceUnreachable(self.url, repr(error)) from error

    def _checked(self, response: httpx.Response) -> httpx.Response:
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
