"""Routes of MLflow's API; what answers its calls is loaded with the first of them."""

import json
from functools import cache
from importlib import import_module
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import find_version
from api.mlflow.protocol.errors import code_of_status, error_body
from api.server.access.scopes import needs
from api.server.http.dependencies import ServicesDep
from api.server.http.query_fields import takes_query

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_ROOTS = ("/api/", "/ajax-api/")

router = APIRouter(dependencies=needs("read", "user"), include_in_schema=False)


@router.api_route("/api/{path:path}", methods=_METHODS)
@router.api_route("/ajax-api/{path:path}", methods=_METHODS)
@takes_query("*")
async def call(path: str, request: Request, services: ServicesDep) -> Response:
    """Answer a call of MLflow's API; every other address below /api is refused as MLflow's server does."""
    # Loaded with the first call: most services never get one. Later calls need no thread for that.
    calls = _load_calls() if _load_calls.cache_info().currsize else await run_in_threadpool(_load_calls)
    response: Response = await calls.answer_call(path, request, services)
    return response


@router.get("/version")
async def get_version() -> Response:
    """Say the version, as text; MLflow's server has this address."""
    return Response(find_version(), media_type="text/plain")


@router.get("/health")
async def get_health() -> Response:
    """Say that the service is up, as text; MLflow's server has this address. Ganvas' own is /healthz."""
    return Response("OK", media_type="text/plain")


@cache
def _load_calls() -> Any:
    return import_module("api.mlflow.calls")


class MlflowErrors:
    """ASGI middleware: gives the service's own errors, such as that of a wrong token, MLflow's form."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or not scope["path"].startswith(_ROOTS):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        parts: list[bytes] = []

        async def rewrite(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_own_error(message):
                start = message
            elif start is None:
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    body = _convert(start["status"], b"".join(parts))
                    MutableHeaders(raw=start["headers"])["content-length"] = str(len(body))
                    await send(start)
                    await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, rewrite)


def _is_own_error(message: Message) -> bool:
    kind = Headers(raw=message["headers"]).get("content-type", "")
    return bool(message["status"] >= 400) and kind.startswith("application/json")


def _convert(status: int, body: bytes) -> bytes:
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return body
    return json.dumps(error_body(code_of_status(status), message)).encode()
