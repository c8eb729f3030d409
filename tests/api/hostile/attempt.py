"""A job that runs, to send hostile events to."""

import json
from typing import Any

from tests.support.services import TINY_SPEC

AT = "2026-01-02T03:04:05Z"


class HeldAttempt:
    """A submitted and claimed job; counts the events that were taken."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.job_id = client.post("/jobs", json=TINY_SPEC).json()["id"]
        assert client.post("/workers/claim", json={"worker": "w"}).status_code == 200
        self.seq = 0

    @property
    def path(self) -> str:
        """Where the attempt writes."""
        return f"/jobs/{self.job_id}/attempts/1"

    def send(self, event: dict[str, Any], at: Any = AT) -> int:
        """Report one event and return the answer's status."""
        body = json.dumps({"events": [{"seq": self.seq, "at": at, "event": event}]})
        status: int = self.client.post(f"{self.path}/events", content=body).status_code
        self.seq += status == 200
        return status

    def read_all(self) -> None:
        """Ask for everything that shows the job; whoever asks judges the answers."""
        page = {"accept": "text/html"}
        for path in ("/", f"/runs/{self.job_id}"):
            assert self.client.get(path, headers=page).status_code == 200, path
        for part in ("", "/metrics", "/samples", "/neighbours", "/histograms", "/log", "/checkpoints"):
            assert self.client.get(f"/jobs/{self.job_id}{part}").status_code == 200, part
        for path in ("/jobs", "/workers", "/metrics", "/healthz"):
            assert self.client.get(path).status_code == 200, path
