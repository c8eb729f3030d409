"""Where the service of this machine answers: `ganvas up` writes it down, other commands look it up."""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

_FILE = "service.json"


def default_home() -> Path:
    """Return the state folder that GANVAS_HOME names, else ~/.ganvas."""
    return Path(os.environ.get("GANVAS_HOME") or Path.home() / ".ganvas").expanduser()


def write_service_url(home: Path, url: str) -> None:
    """Leave the address where another command of this machine finds it."""
    temporary = home / f"{_FILE}.part"
    temporary.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
    temporary.replace(home / _FILE)


def read_service_url(home: Path) -> str | None:
    """Return the address of the service that holds this folder, or None."""
    try:
        url = json.loads((home / _FILE).read_text(encoding="utf-8"))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(url)


def is_same_address(one: str, other: str) -> bool:
    """Whether two URLs name the same host and port; this machine's own names are one."""
    places = []
    for url in (one, other):
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host = "127.0.0.1" if parts.hostname in ("localhost", "::1") else parts.hostname
        places.append((host, parts.port or {"https": 443}.get(parts.scheme, 80)))
    return places[0] == places[1]


def forget_service_url(home: Path) -> None:
    """Forget the address, when the service stops or before one starts."""
    (home / _FILE).unlink(missing_ok=True)
