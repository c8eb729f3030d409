"""The Python client (`from ganvas import Client`) and the `ganvas` command."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.client.client import Client

__version__ = "0.1.0"
__all__ = ["Client", "__version__"]


def __getattr__(name: str) -> Any:
    # Imported on demand: the service needs no HTTP client, which would take megabytes of an idle one's memory.
    if name == "Client":
        from api.client.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
