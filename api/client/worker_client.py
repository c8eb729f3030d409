"""The worker's HTTP client: claim, heartbeat, events, artifacts, finish.

It raises and never waits: the caller decides about retries (`is_temporary` says which errors may pass).
AttemptFenced is final: the attempt has lost its job and its trainer must stop.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from api.artifacts.bundles import BundledFile, write_bundle
from api.artifacts.schemas import ArtifactRead, ArtifactsRead
from api.attempts.schemas import ClaimRead, ClaimRequest, FinishPost, LeaseRead
from api.client.downloads import download_artifact
from api.client.transport import Transport, quote_id
from api.events.schemas import EventsAccepted
from api.jobs.schemas import JobRead
from api.server.http.schemas import MediaType
from api.workers.schemas import WorkerPost

# A hanging heartbeat must not block the supervisor.
HEARTBEAT_TIMEOUT = 5.0
JSON_HEADERS = {"Content-Type": "application/json"}


class WorkerClient:
    """HTTP client of a worker; see `Client` for `url` and `token`. Threads may share it.

    >>> with WorkerClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     claim = client.claim_job(ClaimRequest(worker="gpu-1"))
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._transport = Transport(url, token)

    @property
    def url(self) -> str:
        """The service's address."""
        return self._transport.url

    def for_attempt(self, token: str) -> "WorkerClient":
        """Return a client of the same service with the token of one attempt."""
        return WorkerClient(self.url, token)

    def describe_worker(self, post: WorkerPost) -> None:
        """Describe this worker and its current job to the service."""
        self._transport.request(
            "POST",
            "/workers/heartbeat",
            timeout=HEARTBEAT_TIMEOUT,
            **_json(post.model_dump_json(exclude_none=True)),
        )

    def claim_job(self, request: ClaimRequest) -> ClaimRead | None:
        """Claim the next job; None when nothing is queued for this worker's devices."""
        response = self._transport.request("POST", "/workers/claim", **_json(request.model_dump_json()))
        return None if response.status_code == 204 else self._transport.parse(ClaimRead, response)

    def get_job(self, job_id: str) -> JobRead:
        """Return the job in full."""
        return self._transport.fetch(JobRead, "GET", f"/jobs/{quote_id(job_id)}")

    def heartbeat(self, job_id: str, attempt: int) -> LeaseRead:
        """Renew the lease; the answer says whether a cancel was requested."""
        path = f"{_attempt_path(job_id, attempt)}/heartbeat"
        return self._transport.fetch(LeaseRead, "POST", path, timeout=HEARTBEAT_TIMEOUT)

    def post_events(self, job_id: str, attempt: int, body: bytes) -> EventsAccepted:
        """Post a batch, given as the JSON of an EventsPost, so that a repeated batch has the same bytes."""
        path = f"{_attempt_path(job_id, attempt)}/events"
        return self._transport.fetch(EventsAccepted, "POST", path, **_json(body))

    def put_artifact(self, file_path: Path, sha256: str, media_type: MediaType) -> ArtifactRead:
        """Upload a file in pieces; the service checks its sha256. Idempotent."""
        with file_path.open("rb") as file:
            headers = {"Content-Type": media_type}
            path = f"/artifacts/{quote_id(sha256)}"
            return self._transport.fetch(ArtifactRead, "PUT", path, content=file, headers=headers)

    def put_artifacts(self, files: Sequence[BundledFile]) -> ArtifactsRead:
        """Upload several small files in one request, at most MAX_FILES and MAX_BUNDLE_BYTES."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._transport.fetch(
            ArtifactsRead, "POST", "/artifacts", content=write_bundle(files), headers=headers
        )

    def get_artifact(self, sha256: str, path: Path) -> Path:
        """Download a file to `path`; one whose bytes have another sha256 raises ArtifactRefused."""
        return download_artifact(self._transport, sha256, path)

    def finish(self, job_id: str, attempt: int, post: FinishPost) -> JobRead:
        """Report how the attempt ended."""
        path = f"{_attempt_path(job_id, attempt)}/finish"
        return self._transport.fetch(JobRead, "POST", path, **_json(post.model_dump_json()))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _attempt_path(job_id: str, attempt: int) -> str:
    return f"/jobs/{quote_id(job_id)}/attempts/{attempt}"


def _json(body: str | bytes) -> dict[str, Any]:
    return {"content": body, "headers": JSON_HEADERS}
