"""Routes of stored files, named by the sha256 of their bytes."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, BinaryIO, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from api.artifacts import files as run_files
from api.artifacts import queries as artifact_queries
from api.artifacts.bundles import read_bundle
from api.artifacts.generator_export import NoGenerator, extract_generator, find_weights_prefix
from api.artifacts.png import MAX_PNG_BYTES, check_png_header
from api.artifacts.schemas import ArtifactRead, ArtifactsRead, RunFileRead
from api.artifacts.storage import HEAD_BYTES, BlobWriter, store_all
from api.errors import (
    ArtifactNotFound,
    ArtifactRefused,
    BodyTooLarge,
    JobNotFound,
    RequestInvalid,
    ServiceUnavailable,
    StorageFull,
)
from api.jobs import queries as job_queries
from api.jobs.ids import NAMED_JOB
from api.samples import queries as sample_queries
from api.samples.schemas import CheckpointRead
from api.server.access.scopes import LIVE_ATTEMPT, needs
from api.server.http.dependencies import COSTLY, Cursor, RawBody, ServicesDep, Sha256Path
from api.server.http.responses import documented
from api.server.http.schemas import MediaType, Page
from api.server.services import Services

read = APIRouter(tags=["artifacts"], dependencies=[*needs("read", "attempt"), LIVE_ATTEMPT])
write = APIRouter(tags=["artifacts"], dependencies=[*needs("attempt"), LIVE_ATTEMPT])
files = APIRouter(tags=["jobs"], dependencies=[*needs("read"), NAMED_JOB])
export = APIRouter(tags=["jobs"], dependencies=[*needs("read"), NAMED_JOB, COSTLY])

_CHUNK_BYTES = 262_144
_MEDIA_TYPES: dict[str, MediaType] = {
    "image/png": "image/png",
    "application/octet-stream": "application/octet-stream",
}
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


FileNamePath = Annotated[str, Path(description="the file's name in its run")]
CheckpointPath = Annotated[int, Field(ge=0, le=1_000_000_000)] | Literal["best", "newest"]


class FileStream(StreamingResponse):
    """Sends an open file, and closes it even if the client has disconnected before the first byte."""

    def __init__(
        self, file: BinaryIO, headers: dict[str, str], media_type: str, content: Iterator[bytes] | None = None
    ) -> None:
        self._file = file
        super().__init__(content or _read_chunks(file), headers=headers, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        with self._file:
            await super().__call__(scope, receive, send)


@write.put(
    "/artifacts/{sha256}",
    response_model=ArtifactRead,
    responses=documented(ArtifactRefused, BodyTooLarge, RequestInvalid, StorageFull),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in _MEDIA_TYPES},
        }
    },
)
async def put_artifact(sha256: Sha256Path, request: Request, services: ServicesDep) -> Any:
    """Store a file under the sha256 of its bytes, streamed to disk. The same file may be sent again."""
    media_type = _read_media_type(request.headers.get("content-type", ""))
    limit = MAX_PNG_BYTES if media_type == "image/png" else services.settings.max_checkpoint_bytes
    length = request.headers.get("content-length", "")
    _check_size(int(length) if length.isdigit() else 0, limit)
    writer = await run_in_threadpool(services.blobs.begin, sha256)
    try:
        async for chunk in request.stream():
            _check_size(writer.size + len(chunk), limit)
            if chunk:
                await run_in_threadpool(writer.write, chunk)
        return await run_in_threadpool(_store, services, writer, sha256, media_type)
    finally:
        await run_in_threadpool(writer.abort)


@write.post(
    "/artifacts",
    response_model=ArtifactsRead,
    responses=documented(ArtifactRefused, BodyTooLarge, RequestInvalid, StorageFull),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": _BINARY,
        }
    },
)
def put_artifacts(raw: RawBody, services: ServicesDep) -> Any:
    """Store several small files, each as a line of JSON (`sha256`, `size`, `media_type`) followed by its bytes.

    At most 64 files and 8 MiB. Either all of them are recorded or none.
    """
    files = read_bundle(raw)
    for file in files:
        if file.media_type == "image/png":
            check_png_header(file.content[:HEAD_BYTES])
    store_all(services.blobs, {file.sha256: file.content for file in files})
    sizes = {file.sha256: (len(file.content), file.media_type) for file in files}
    return ArtifactsRead(items=_record(services, sizes))


@read.get("/artifacts/{sha256}", response_class=Response, responses=documented(ArtifactNotFound))
def get_artifact(
    sha256: Sha256Path, services: ServicesDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Send a file, which never changes. Images are shown inline; other files are downloads."""
    with services.database.read() as session:
        artifact = artifact_queries.get_artifact(session, sha256)
    headers = {"etag": f'"{sha256}"', "cache-control": "private, max-age=31536000, immutable"}
    if if_none_match is not None and f'"{sha256}"' in if_none_match:
        return Response(status_code=304, headers=headers)
    try:
        file = services.blobs.open(sha256)
    except FileNotFoundError:
        raise ArtifactNotFound(sha256=sha256) from None
    is_image = artifact.media_type == "image/png"
    # Without a file name: it would override the name that a page's link gives.
    headers["content-disposition"] = "inline" if is_image else "attachment"
    headers["content-length"] = str(artifact.size)
    return FileStream(file, headers, artifact.media_type)


@files.get(
    "/jobs/{job_id}/files", response_model=Page[RunFileRead], responses=documented(JobNotFound, RequestInvalid)
)
def list_files(
    job_id: str,
    services: ServicesDep,
    under: Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$")] = "",
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    cursor: Cursor = None,
) -> Any:
    """List the files of a job by name; `under`: only those whose names begin so, such as `checkpoints/`."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        return run_files.list_files(session, job_id, under, limit, cursor)


@files.get(
    "/jobs/{job_id}/files/{name:path}",
    response_class=Response,
    responses={
        200: {"description": "The file's bytes.", "content": _BINARY},
        **documented(JobNotFound, ArtifactNotFound),
    },
)
def get_file(job_id: str, name: FileNamePath, services: ServicesDep) -> Response:
    """Send a file of a job, as a download; pictures are shown."""
    with services.database.read() as session:
        job_queries.get_job(session, job_id)
        file = run_files.get_file(session, job_id, name)
        stored = artifact_queries.get_artifact(session, file.sha256).media_type
    try:
        content = services.blobs.open(file.sha256)
    except FileNotFoundError:
        raise ArtifactNotFound(sha256=file.sha256) from None
    # Only what was checked to be a PNG is shown by a browser; everything else is a download of bytes.
    is_image = stored == "image/png" and file.media_type == "image/png"
    last = name.rpartition("/")[2]
    plain = "".join(sign if sign.isascii() and sign.isprintable() and sign not in '"\\' else "_" for sign in last)
    disposition = "inline" if is_image else "attachment"
    headers = {
        "content-disposition": f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe='')}",
        "content-length": str(file.size),
        "cache-control": "private, no-cache",
        "etag": f'"{file.sha256}"',
    }
    return FileStream(content, headers, "image/png" if is_image else "application/octet-stream")


@export.get(
    "/jobs/{job_id}/checkpoints/{iteration}/generator",
    response_class=Response,
    responses={
        200: {"description": "A safetensors file.", "content": _BINARY},
        **documented(JobNotFound, ArtifactNotFound),
    },
)
def get_generator(job_id: str, iteration: CheckpointPath, services: ServicesDep) -> StreamingResponse:
    """Send the generator's weights alone, as safetensors, from the checkpoint of this iteration.

    `best` is the best judged checkpoint that is stored, `newest` the newest one. They are the weights that draw
    the run's grids: a moving average where the run keeps one. The file's metadata, `ganvas`, holds the job, the
    iteration and the spec's name.
    """
    with services.database.read() as session:
        job = job_queries.get_job(session, job_id)
        kept = {item.iteration: item for item in sample_queries.list_checkpoints(session, job_id) if item.url}
        spec, name = job.spec, job.name
    iteration = _choose(iteration, kept)
    facts = {"job": job_id, "name": name, "iteration": str(iteration), "checkpoint": kept[iteration].sha256}
    try:
        file = services.blobs.open(kept[iteration].sha256)
    except FileNotFoundError:
        raise ArtifactNotFound(sha256=kept[iteration].sha256) from None
    try:
        generator = extract_generator(file, find_weights_prefix(spec), facts, kept[iteration].size)
    except NoGenerator:
        file.close()
        raise ArtifactNotFound("The checkpoint of that iteration has no readable generator.") from None
    headers = {
        "content-disposition": f'attachment; filename="generator-{job_id}-{iteration}.safetensors"',
        "content-length": str(generator.size),
    }
    return FileStream(file, headers, "application/octet-stream", generator.read(file))


def _choose(asked: int | Literal["best", "newest"], kept: Mapping[int, CheckpointRead]) -> int:
    """Return the iteration of a stored checkpoint; raises ArtifactNotFound."""
    if asked == "newest" and kept:
        return max(kept)
    if asked == "best":
        best = next((iteration for iteration, item in kept.items() if item.is_best), None)
        if best is None:
            raise ArtifactNotFound(
                "No stored checkpoint of this job was judged: no figure says which is the best."
            )
        return best
    if not isinstance(asked, int) or asked not in kept:
        raise ArtifactNotFound("This job has no stored checkpoint of that iteration.")
    return asked


def _store(services: Services, writer: BlobWriter, sha256: str, media_type: MediaType) -> ArtifactRead:
    if media_type == "image/png":
        check_png_header(writer.head)
    writer.commit()
    return _record(services, {sha256: (writer.size, media_type)})[0]


def _record(services: Services, files: Mapping[str, tuple[int, MediaType]]) -> list[ArtifactRead]:
    """Insert rows of durable files; files: size and media type by sha256."""
    with services.database.write() as session:
        artifacts = [
            artifact_queries.insert_artifact(session, sha256, *described) for sha256, described in files.items()
        ]
        # These rows are locked now, so a concurrent deletion of the same file has finished.
        if not all(services.blobs.exists(sha256) for sha256 in files):
            raise ServiceUnavailable("The file was being deleted; send it again.")
    services.prometheus.artifact_bytes.inc(sum(size for size, _ in files.values()))
    return [
        ArtifactRead(
            sha256=artifact.sha256,
            size=artifact.size,
            media_type=_MEDIA_TYPES[artifact.media_type],
            url=artifact_queries.artifact_url(artifact.sha256),
        )
        for artifact in artifacts
    ]


def _read_media_type(content_type: str) -> MediaType:
    media_type = _MEDIA_TYPES.get(content_type.partition(";")[0].strip().lower())
    if media_type is None:
        raise ArtifactRefused(f"Content-Type must be one of: {', '.join(_MEDIA_TYPES)}.", given=content_type[:100])
    return media_type


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BodyTooLarge(f"The file is too large; the limit is {limit:,} bytes.")


def _read_chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
