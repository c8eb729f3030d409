"""The passwords of a cluster's parts: made once, each in the folder of those who may read it.

`docker-compose.yml` and `k8s/` mount each folder into its own containers only, so a worker never sees the
password of the database. What exists is kept: making them twice changes nothing.
"""

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from api.tokens import make_token

PASSWORD_BYTES = 24
# Containers run as different users; who may read a file is decided by who has its folder mounted.
READABLE = 0o444


def write_cluster_secrets(folder: Path, database_host: str, broker_host: str) -> list[Path]:
    """Write the files that are missing below `folder`; return those that were written.

    postgres/password: PostgreSQL's. redis/redis.conf: with Redis' password. store/s3.json: the identity that
    SeaweedFS knows. service/: settings of the service, and its key to the store. worker/: the broker's address and
    the workers' token, which `ganvas token create --file` makes known to the service.
    """
    database_password = _keep_or_make(folder / "postgres" / "password")
    redis_conf = folder / "redis" / "redis.conf"
    redis_password = _read_after(redis_conf, "requirepass ") or _make_password()
    key = _read_after(folder / "service" / "aws_credentials", "aws_secret_access_key = ") or _make_password()
    broker_url = f"redis://:{redis_password}@{broker_host}:6379/0"
    texts = {
        folder / "postgres" / "password": database_password,
        redis_conf: f"requirepass {redis_password}\nbind * -::*\nappendonly yes\ndir /data\n",
        folder / "store" / "s3.json": json.dumps(_store_identity(key), indent=2) + "\n",
        folder / "service" / "aws_credentials": (
            f"[default]\naws_access_key_id = ganvas\naws_secret_access_key = {key}\n"
        ),
        folder / "service" / "ganvas_database_url": (
            f"postgresql://ganvas:{database_password}@{database_host}:5432/ganvas"
        ),
        folder / "service" / "ganvas_broker_url": broker_url,
        folder / "worker" / "ganvas_broker_url": broker_url,
        folder / "worker" / "ganvas_token": make_token("worker")[1],
    }
    return [path for path, text in texts.items() if _write_if_missing(path, text)]


def _keep_or_make(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.exists() else _make_password()


def _read_after(path: Path, prefix: str) -> str | None:
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return next((line.removeprefix(prefix) for line in lines if line.startswith(prefix)), None)


def _make_password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def _store_identity(key: str) -> dict[str, object]:
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    credentials = [{"accessKey": "ganvas", "secretKey": key}]
    return {"identities": [{"name": "ganvas", "credentials": credentials, "actions": actions}]}


def _write_if_missing(path: Path, text: str) -> bool:
    if path.exists():
        return False
    write_secret(path, lambda: text)
    return True


def write_secret(path: Path, make: Callable[[], str], mode: int = READABLE) -> None:
    """Write the file whole or not at all; raises FileExistsError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(make(), encoding="ascii")
    partial.chmod(mode)
    # A link fails where the file is there already, which a rename would replace.
    try:
        path.hardlink_to(partial)
    finally:
        partial.unlink()
