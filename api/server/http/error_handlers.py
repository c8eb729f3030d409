"""Converts every exception into an error of `api.errors` and answers it as JSON."""

import errno
import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.errors import (
    MethodRefused,
    RequestInvalid,
    RouteNotFound,
    ServiceError,
    ServiceUnavailable,
    StorageFull,
)
from api.server.http.bodies import describe_problem, refuse_request
from api.server.http.responses import error_response, make_error_id

logger = logging.getLogger(__name__)

_MAX_PROBLEMS = 20


def add_error_handlers(app: FastAPI) -> None:
    """Answer every exception of a route."""
    app.add_exception_handler(ServiceError, _answer)
    app.add_exception_handler(RequestValidationError, _answer)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(ClientDisconnect, _answer_disconnected)
    app.add_exception_handler(Exception, _answer)
    # Registered by class, so that they are answered inside the middleware and not raised again.
    app.add_exception_handler(DBAPIError, _answer)
    app.add_exception_handler(PoolTimeout, _answer)
    app.add_exception_handler(OSError, _answer)


def to_service_error(error: Exception) -> ServiceError:
    """Return the service's own error for any exception."""
    match error:
        case ServiceError():
            return error
        case RequestValidationError():
            return refuse_request([describe_problem(details) for details in error.errors()[:_MAX_PROBLEMS]])
        case HTTPException(status_code=404):
            return RouteNotFound()
        case HTTPException(status_code=405):
            return MethodRefused()
        case HTTPException():
            return RequestInvalid(str(error.detail))
        case DataError():
            return RequestInvalid("A text or number in the request cannot be stored.")
        case OperationalError():
            return _from_database(error)
        case PoolTimeout():
            return ServiceUnavailable()
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return StorageFull()
        case _:
            return ServiceError()


def _from_database(error: OperationalError) -> ServiceError:
    text = str(error.orig).lower()
    # PostgreSQL's messages may be translated; its error code is not.
    is_full = (
        getattr(error.orig, "sqlstate", None) == "53100"
        or "disk is full" in text
        or "no space left" in text
        or "disk full" in text
    )
    return StorageFull() if is_full else ServiceUnavailable()


async def _answer(request: Request, error: Exception) -> Response:
    shown = to_service_error(error)
    error_id = make_error_id()
    if shown.status >= 500:
        logger.error("Error %s: %s %s", error_id, request.method, request.url.path, exc_info=error)
    return error_response(shown, error_id)


async def _answer_disconnected(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)
