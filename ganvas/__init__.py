"""The Python client (`from ganvas import Client`), `ganvas.init` for any loop, and the `ganvas` command."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.client.client import AsyncClient, Client, ServiceUnreachable, WaitTimedOut
    from api.errors import JobAmbiguous, JobNotFound, ServiceError, SpecRefused
    from ganvas.tracking.opening import init
    from ganvas.tracking.run import Run

__version__ = "0.1.0"
__all__ = [
    "AsyncClient", "Client", "JobAmbiguous", "JobNotFound", "Run", "ServiceError", "ServiceUnreachable",
    "SpecRefused", "WaitTimedOut", "__version__", "init",
]  # fmt: skip

# Imported on demand: the service needs no HTTP client, which would take megabytes of an idle one's memory.
_MODULES = {
    "AsyncClient": "api.client.client",
    "Client": "api.client.client",
    "JobAmbiguous": "api.errors",
    "JobNotFound": "api.errors",
    "Run": "ganvas.tracking.run",
    "ServiceError": "api.errors",
    "ServiceUnreachable": "api.client.transport",
    "SpecRefused": "api.errors",
    "WaitTimedOut": "api.client.watching",
    "init": "ganvas.tracking.opening",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
