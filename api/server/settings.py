"""The service's settings: GANVAS_ and a name, in the environment or in a file of secrets."""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from api import DEFAULT_PORT

SECRETS_DIR = "GANVAS_SECRETS_DIR"


class SecretsDirMissing(OSError):
    """GANVAS_SECRETS_DIR is not a folder."""


class SecretSettings(BaseSettings):
    """Settings from arguments, then the environment, then the files in GANVAS_SECRETS_DIR."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of settings; raises SecretsDirMissing."""
        folder = os.environ.get(SECRETS_DIR)
        if not folder:
            return init_settings, env_settings
        if not Path(folder).is_dir():
            raise SecretsDirMissing(f"{SECRETS_DIR} must be a folder; {folder} is not.")
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, secrets_dir=folder)


MIB = 1_048_576
SHORTEST_SECRET = 16
# A path prefix: no empty, `.` or `..` segments, and nothing that HTML, cookies or headers would read otherwise.
ROOT_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~@-]+)+")


class Settings(SecretSettings):
    """The service's settings; arguments of the constructor take precedence over the environment."""

    model_config = SettingsConfigDict(env_prefix="GANVAS_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=lambda: Path.home() / ".ganvas")
    # Without these addresses: SQLite, and Celery over files, both below `home`.
    database_url: str | None = None
    broker_url: str | None = None
    # Blobs are stored below `home`, or in a bucket: s3://bucket/prefix, at AWS unless an endpoint is given.
    blobs_url: str | None = None
    s3_endpoint_url: str | None = None

    # Whether the service migrates the tables at start; if not, `ganvas migrate` does, once for all replicas.
    migrate: bool = True

    # Serves what is there and writes nothing; a start on a full disk sets it by itself.
    read_only: bool = False

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    token: str | None = None
    # Host names beyond localhost, separated by commas in the environment.
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    # Address at which people reach the service, where it is not the one that a command was given: https://gan.example.
    public_url: Annotated[str, Field(pattern=r"^(https?://[^/\s?#]+[^\s?#]*)?$")] = ""
    # Address of this replica alone, as monitoring uses it: one more allowed host.
    own_address: str = ""
    # Addresses and networks of reverse proxies, separated by commas; only their X-Forwarded-… headers are read.
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    # Path below which a proxy shows the service, such as /ganvas.
    root_path: str = ""
    # Says that whoever reaches the service may do everything, where a proxy leads to it and no token exists.
    without_token: bool = False
    # Connections that are open at once; fewer where the system allows fewer files.
    max_connections: Annotated[int, Field(ge=16, le=100_000)] = 1000

    # Where findings and failed jobs are posted, and what signs the posts; no spec can set them.
    webhook_url: Annotated[str, Field(pattern=r"^https?://[^/\s?#@]+(/[^\s#]*)?$", max_length=2000)] | None = None
    webhook_secret: Annotated[str | None, Field(validate_default=True, max_length=1000)] = None
    # Whether that address may lie in a private network.
    webhook_private: bool = False

    submits_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 600
    login_failures_per_minute: Annotated[int, Field(ge=1, le=1000)] = 10

    lease_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    attempts_allowed: Annotated[int, Field(ge=1, le=100)] = 5
    reap_every_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    wake_every_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    stream_poll_seconds: Annotated[float, Field(gt=0, le=60)] = 0.1
    stream_keepalive_seconds: Annotated[float, Field(gt=0, le=300)] = 15.0

    # Deleted jobs can be restored for this long.
    deleted_kept_days: Annotated[float, Field(ge=0, le=3650)] = 7.0
    checkpoints_kept: Annotated[int, Field(ge=1, le=1000)] = 2
    max_checkpoint_bytes: Annotated[int, Field(ge=1)] = 4096 * MIB

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def split_hosts(cls, value: Any) -> Any:
        """Read `a.example,b.example` as two names."""
        return _split(value)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def split_networks(cls, value: Any) -> Any:
        """Read `127.0.0.1, 10.0.0.0/8` as two networks."""
        try:
            return tuple(ip_network(part, strict=False) for part in _split(value))
        except ValueError as error:
            raise ValueError(f"must be addresses or networks such as 10.0.0.0/8: {error}") from None

    @field_validator("root_path")
    @classmethod
    def check_root_path(cls, value: str) -> str:
        """Read `/ganvas/` as `/ganvas`, and `/` as no prefix."""
        root = value.rstrip("/")
        if root and not ROOT_PATH.fullmatch(root):
            raise ValueError("must be a path such as /ganvas or /user/me/ganvas")
        return root

    @field_validator(
        "database_url", "broker_url", "blobs_url", "s3_endpoint_url", "token", "webhook_url", mode="before"
    )
    @classmethod
    def read_empty_as_none(cls, value: Any) -> Any:
        """Treat an empty variable as not set."""
        return value or None

    @field_validator("webhook_secret")
    @classmethod
    def check_webhook_secret(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Refuse a webhook whose posts could not be told from a stranger's."""
        secret = (value or "").strip()
        if info.data.get("webhook_url") is not None and len(secret) < SHORTEST_SECRET:
            raise ValueError(
                f"must have at least {SHORTEST_SECRET} characters where GANVAS_WEBHOOK_URL is set; make one with "
                "`openssl rand -hex 32`"
            )
        return secret or None

    @property
    def sqlalchemy_url(self) -> str:
        """Address of the database, with its driver."""
        if not self.database_url:
            return f"sqlite:///{self.sqlite_path}"
        for scheme in ("postgres://", "postgresql://"):
            if self.database_url.startswith(scheme):
                return "postgresql+psycopg://" + self.database_url.removeprefix(scheme)
        return self.database_url

    @property
    def sqlite_path(self) -> Path | None:
        """File of the SQLite database below `home`; None where another address is given."""
        return None if self.database_url else self.home.expanduser().resolve() / "ganvas.sqlite3"

    @property
    def blobs_dir(self) -> Path:
        """Folder of the local blob store."""
        return self.home.expanduser().resolve() / "blobs"


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
