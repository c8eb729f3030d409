"""Errors in MLflow's form: a code of its list, from which the status and the client's exception follow."""

from typing import Any

# MLflow 3.17, mlflow/exceptions.py.
STATUSES = {
    "INTERNAL_ERROR": 500,
    "INVALID_STATE": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "RESOURCE_CONFLICT": 409,
    "NOT_FOUND": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "BAD_REQUEST": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "INVALID_PARAMETER_VALUE": 400,
}
# MLflow 3.17, mlflow/error_classification.py.
_CLASSES = {
    "BAD_REQUEST": "INVALID_PARAMETER_VALUE",
    "ENDPOINT_NOT_FOUND": "RESOURCE_NOT_FOUND",
    "INTERNAL_ERROR": "CLIENT_INTERNAL_ERROR",
    "INVALID_PARAMETER_VALUE": "INVALID_PARAMETER_VALUE",
    "INVALID_STATE": "CLIENT_INTERNAL_ERROR",
    "NOT_FOUND": "RESOURCE_NOT_FOUND",
    "PERMISSION_DENIED": "PERMISSION_DENIED",
    "RESOURCE_ALREADY_EXISTS": "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST": "RESOURCE_NOT_FOUND",
    "TEMPORARILY_UNAVAILABLE": "CLIENT_INTERNAL_ERROR",
}
# The service's own errors, by status.
_BY_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "ENDPOINT_NOT_FOUND",
    409: "RESOURCE_CONFLICT",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
    507: "INTERNAL_ERROR",
}


class MlflowError(Exception):
    """An expected error: `code` is one of STATUSES, `message` a sentence that MLflow's client shows."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUSES[self.code]


def invalid(message: str) -> MlflowError:
    """Return the error of a value that MLflow does not take."""
    return MlflowError("INVALID_PARAMETER_VALUE", message)


def missing(message: str) -> MlflowError:
    """Return the error of something that does not exist."""
    return MlflowError("RESOURCE_DOES_NOT_EXIST", message)


def error_body(code: str, message: str) -> dict[str, Any]:
    """Return an error as MLflow's server writes it."""
    body = {"error_code": code, "message": message}
    if code in _CLASSES:
        own = _CLASSES[code] == "CLIENT_INTERNAL_ERROR"
        body |= {"sqlstate": "XXM00" if own else "KAM00", "error_class": _CLASSES[code]}
    return body


def code_of_status(status: int) -> str:
    """Return MLflow's code for an error of the service itself."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "INTERNAL_ERROR" if status >= 500 else "INVALID_PARAMETER_VALUE"
