"""What the service's tests make: specs, jobs, claims, events, images."""

import hashlib
import struct
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from api.artifacts import queries as artifact_queries
from api.attempts import claims, lease_expiry
from api.attempts.claims import ClaimedJob
from api.attempts.schemas import ClaimRequest, FinishPost
from api.curves import queries as curve_queries
from api.events import ingest, log
from api.events.ingest import Accepted
from api.events.parsing import PostedEvent, post_event
from api.events.schemas import NumberedEvent
from api.jobs import queries as job_queries
from api.server.database.models import Job
from api.server.http.schemas import Reason
from ganlib.events import CheckpointSaved, FindingReported, LineLogged, MetricsLogged, SampleGridSaved, StoredFile
from ganlib.spec.parse import parse_spec

HOST = "http://localhost"
# Settings under which nothing happens by itself.
QUIET: dict[str, Any] = {"reap_every_seconds": 3600.0, "stream_poll_seconds": 0.02}
LEASE = 60.0
COLLAPSED = "Collapsed: 64 cells, 1 kind"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

TINY_SPEC: dict[str, Any] = {
    "name": "tiny",
    "dataset": "digits",
    "latents": {"size": 2},
    "generator": {"layers": [{"layer": "dense", "size": 64}, {"layer": "reshape", "shape": [1, 8, 8]}]},
    "discriminator": {"layers": ["flatten", {"layer": "dense", "size": 1}]},
    "iterations": 100_000,
}


def make_spec(**changes: Any) -> dict[str, Any]:
    return {**TINY_SPEC, **changes}


def add_job(session: Session, attempts_allowed: int = 5, **changes: Any) -> Job:
    job, _ = job_queries.insert_job(session, parse_spec(make_spec(**changes)), attempts_allowed)
    return job


def claim(session: Session, *devices: str, stored: bool = True) -> ClaimedJob | None:
    request = ClaimRequest(worker="worker-1", devices=list(devices or ["cpu"]))
    return claims.claim_job(session, request, LEASE, lambda _: stored)


def add_claimed_job(session: Session, **changes: Any) -> Job:
    add_job(session, **changes)
    claimed = claim(session)
    assert claimed is not None
    return claimed.job


def make_metrics(iteration: int, **values: float) -> MetricsLogged:
    """`loss_generator=1.0` stands for the metric loss/generator."""
    return MetricsLogged(iteration=iteration, values={k.replace("_", "/", 1): v for k, v in values.items()})


def make_line(iteration: int, text: str) -> LineLogged:
    return LineLogged(iteration=iteration, text=text)


def make_finding(iteration: int, since: int | None = None, **changes: Any) -> FindingReported:
    """A collapse that is found at an iteration and was there since an earlier one."""
    fields: dict[str, Any] = {
        "rule": "mode_collapse",
        "severity": "serious",
        "text": COLLAPSED,
        "evidence": {"signals/kinds": 1.0, "signals/diversity": 0.01},
    }
    return FindingReported(iteration=iteration, since=iteration if since is None else since, **fields | changes)


def make_signals(iteration: int) -> MetricsLogged:
    return MetricsLogged(iteration=iteration, values={"signals/kinds": 60.0, "loss/generator": 1.0})


def make_stored_file(content: bytes) -> StoredFile:
    return StoredFile(path="files/any", sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def make_checkpoint(session: Session, iteration: int, content: bytes) -> CheckpointSaved:
    """An event whose file is recorded as put."""
    file = make_stored_file(content)
    artifact_queries.insert_artifact(session, file.sha256, file.size, "application/octet-stream")
    return CheckpointSaved(iteration=iteration, file=file)


def make_grid(session: Session, iteration: int, content: bytes) -> SampleGridSaved:
    """An event whose file is recorded as put."""
    file = make_stored_file(content)
    artifact_queries.insert_artifact(session, file.sha256, file.size, "image/png")
    return make_grid_event(iteration, file)


def make_grid_event(iteration: int, file: StoredFile) -> SampleGridSaved:
    size = {"rows": 1, "columns": 1, "cell_width": 8, "cell_height": 8}
    return SampleGridSaved(iteration=iteration, file=file, latents_sha256="a" * 64, **size)


def number(events: Sequence[Any], first: int = 0) -> list[PostedEvent]:
    return [post_event(NumberedEvent(seq=first + index, at=AT, event=event)) for index, event in enumerate(events)]


def post(
    session: Session, job: Job, events: Sequence[Any], first: int = 0, attempt: int | None = None
) -> Accepted:
    accepted = ingest.insert_events(session, job.id, attempt or job.attempt, number(events, first), LEASE)
    if job in session:
        # A post writes past the objects of its session.
        session.refresh(job)
    return accepted


def reap(session: Session, job_id: str) -> Job | None:
    """Reap the job as a reaper does that has just read its lease, and found that it has ended."""
    leases = {lease.job_id: lease for lease in lease_expiry.list_leases(session)}
    return lease_expiry.reap_job(session, leases[job_id]) if job_id in leases else None


def finish(session: Session, job: Job, end: str, count: int = 0, code: str | None = None) -> Job:
    reason = Reason(code=code, message="Because.") if code else None
    post = FinishPost(end=end, reason=reason, events_count=count)
    return claims.finish_attempt(session, job.id, job.attempt, post, LEASE)


def read_points(session: Session, job: Job, name: str) -> Mapping[int, float]:
    (curve,) = curve_queries.read_curves(session, job.id, [name]).curves
    assert list(curve.iterations) == sorted(set(curve.iterations)), "an iteration came twice"
    return dict(zip(curve.iterations, curve.values, strict=True))


def kinds(session: Session, job: Job) -> list[str]:
    """Kinds of all events of the job's stream, in order."""
    batches = log.list_batches(session, job.id, 0, 1000)
    return [item["event"]["kind"] for batch in batches for item in batch.events]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_png(width: int = 8, height: int = 8, shade: int = 0) -> bytes:
    """A grey PNG of one shade."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([shade]) * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
