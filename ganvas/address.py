"""The address of this machine's service: `ganvas up` writes it to a file, other commands read it."""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from ganlib.runtime.files import replace_text

_FILE = "service.json"


def default_home() -> Path:
    """Return the state folder that GANVAS_HOME names, else ~/.ganvas."""
    return Path(os.environ.get("GANVAS_HOME") or Path.home() / ".ganvas").expanduser()


def write_service_url(home: Path, url: str) -> None:
    """Write the address for other commands of this machine."""
    replace_text(home / _FILE, json.dumps({"url": url, "pid": os.getpid()}))


def read_service_url(home: Path) -> str | None:
    """Return the address of the service that holds this folder, or None."""
    try:
        url = json.loads((home / _FILE).read_text(encoding="utf-8"))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(url)


def is_same_address(one: str, other: str) -> bool:
    """Return whether two URLs name the same host and port; localhost, 127.0.0.1 and ::1 are the same host."""
    hosts = []
    for url in (one, other):
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host = "127.0.0.1" if parts.hostname in ("localhost", "::1") else parts.hostname
        hosts.append((host, parts.port or {"https": 443}.get(parts.scheme, 80)))
    return hosts[0] == hosts[1]


def forget_service_url(home: Path) -> None:
    """Remove the address, when the service stops or before one starts."""
    (home / _FILE).unlink(missing_ok=True)
