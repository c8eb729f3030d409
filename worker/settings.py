"""What a worker is told by its environment (GANVAS_…)."""

import os
import socket
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from api.client.transport import DEFAULT_URL
from api.settings import SecretSettings
from ganlib.spec.sections.execution import MAX_WORKER_LABELS, WorkerLabel

# In the place of a broker's address.
NO_BROKER = "none"


def _default_worker_name() -> str:
    # Two workers of one machine are told apart by their process.
    return f"{socket.gethostname()}-{os.getpid()}"


class WorkerSettings(SecretSettings):
    """Where the service is, where work lies on disk, and how patient the worker is."""

    model_config = SettingsConfigDict(env_prefix="GANVAS_")

    url: str = DEFAULT_URL
    token: str | None = None
    home: Path = Path("~/.ganvas")
    broker_url: str | None = None
    worker_name: str = Field(default_factory=_default_worker_name, max_length=200)
    # Words that a job's queue.worker_labels may ask for, separated by commas.
    worker_labels: Annotated[tuple[WorkerLabel, ...], NoDecode, Field(max_length=MAX_WORKER_LABELS)] = ()
    # A trainer that was asked to stop finishes its iteration and writes a checkpoint; then it is killed.
    stop_seconds: float = 20.0
    # How long a worker that shuts down goes on delivering; what is left is delivered after its next start.
    delivery_seconds: float = 8.0
    # How much of one attempt may wait on disk while the service is away, events and files together.
    spool_max_bytes: int = Field(default=8 * 1024**3, gt=0)

    # How many cards one job may have; all that there are unless given.
    worker_gpus: int | None = Field(default=None, ge=1, le=64)
    # How often a worker without a broker asks for jobs, give or take a quarter.
    poll_seconds: float = Field(default=5.0, gt=0, le=3600)
    # A worker that had no job for so long ends, with status 0.
    exit_when_idle: float | None = Field(default=None, gt=0)

    @field_validator("worker_labels", mode="before")
    @classmethod
    def split_labels(cls, value: Any) -> Any:
        """Read `a100,lab-2` as two labels."""
        return (
            tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        )

    @property
    def has_broker(self) -> bool:
        """Whether messages wake it; without one it asks the service now and then."""
        return self.broker_url != NO_BROKER

    @property
    def attempts_dir(self) -> Path:
        """Folder of the run folders."""
        return self.home.expanduser() / "attempts"
