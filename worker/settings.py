"""A worker's settings, from GANVAS_… variables."""

import os
import socket
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from api.client.transport import DEFAULT_URL
from api.server.settings import SecretSettings
from ganlib.spec.sections.execution import MAX_WORKER_LABELS, WorkerLabel
from ganlib.spec.storable import replace_unstorable

# Stands for a broker's address.
NO_BROKER = "none"


def _default_worker_name() -> str:
    # The process id tells workers of one machine apart.
    return f"{replace_unstorable(socket.gethostname())}-{os.getpid()}"


class WorkerSettings(SecretSettings):
    """Address and token of the service, folder of the run folders, labels and time limits."""

    model_config = SettingsConfigDict(env_prefix="GANVAS_")

    url: str = DEFAULT_URL
    token: str | None = None
    home: Path = Path("~/.ganvas")
    broker_url: str | None = None
    worker_name: str = Field(default_factory=_default_worker_name, max_length=200)
    # Labels that a job's queue.worker_labels may require, separated by commas.
    worker_labels: Annotated[tuple[WorkerLabel, ...], NoDecode, Field(max_length=MAX_WORKER_LABELS)] = ()
    # After a request to stop, a trainer has so long to finish its iteration and write a checkpoint.
    stop_seconds: float = 20.0
    # How long a worker that shuts down keeps delivering; the next start delivers the rest.
    delivery_seconds: float = 8.0
    # Limit of what waits on disk for one attempt while the service is away: events and files together.
    spool_max_bytes: int = Field(default=8 * 1024**3, gt=0)

    # How many GPUs one job may have; all that there are unless given.
    worker_gpus: int | None = Field(default=None, ge=1, le=64)
    # How often a worker asks for jobs while no broker, or none that can be used, tells it of them, ± 25 %.
    poll_seconds: float = Field(default=5.0, gt=0, le=3600)
    # A worker without a job for so long ends with status 0.
    exit_when_idle: float | None = Field(default=None, gt=0)

    @field_validator("worker_labels", mode="before")
    @classmethod
    def split_labels(cls, value: Any) -> Any:
        """Split `a100,lab-2` into two labels."""
        return (
            tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        )

    @property
    def has_broker(self) -> bool:
        """True if messages wake the worker; otherwise it asks the service every `poll_seconds`."""
        return self.broker_url != NO_BROKER

    @property
    def attempts_dir(self) -> Path:
        """The folder of all run folders."""
        return self.home.expanduser() / "attempts"
