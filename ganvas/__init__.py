"""The front door: `from ganvas import Client`, and the `ganvas` command."""

from api.client import Client

__version__ = "0.1.0"
__all__ = ["Client", "__version__"]
