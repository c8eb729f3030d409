"""Answers calls of MLflow's API: each endpoint has a scope of its own, and every error MLflow's form."""

import asyncio
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, TypeVar
from weakref import WeakSet

from fastapi import Request, Response

from api.artifacts.png import MAX_PNG_BYTES, check_png_header
from api.artifacts.queries import record_artifact
from api.artifacts.routes import FileStream
from api.artifacts.storage import HEAD_BYTES, raising_storage_full
from api.errors import ArtifactRefused, BodyTooLarge, NotAllowed, NotAuthenticated, ServiceUnavailable
from api.mlflow.endpoints import Endpoint, find_endpoint, unknown_endpoint
from api.mlflow.experiments import insert_default
from api.mlflow.files import artifacts
from api.mlflow.files.pictures import Picture, note_file, read_picture
from api.mlflow.protocol.errors import MlflowError, error_body, missing
from api.mlflow.protocol.requests import Fields, read_body, read_query
from api.server.access.grants import GRANT, OPEN_GRANT, Grant
from api.server.database.engine import MLFLOW_THREADS, Database
from api.server.http.schemas import MediaType
from api.server.services import Services

Answer = TypeVar("Answer")
_TRACKING, _FILES = "mlflow/", "mlflow-artifacts/"
_LIST_FILES = Endpoint(artifacts.list_files, "read")
# Larger uploads wait for their sha256 in a file beside the store, and not in memory.
_IN_MEMORY, _PIECE = 1_048_576, 262_144
_SERVER_INFO = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
    "presigned_upload_run_id_supported": False,
    "presigned_upload_model_id_supported": False,
    "features_enabled": {"gateway": False},
}

# Databases that have MLflow's first experiment.
_prepared: WeakSet[Database] = WeakSet()
# Of their own, so that a client, which waits for the answer to each value, never waits behind costly pages for a
# thread. By itself, handing a call over also costs less than with anyio's threads.
_threads = ThreadPoolExecutor(MLFLOW_THREADS, thread_name_prefix="mlflow")


async def answer_call(path: str, request: Request, services: Services) -> Response:
    """Answer a call; path: what follows /api/ or /ajax-api/."""
    version, _, rest = path.partition("/")
    try:
        if version == "2.0" and rest.startswith(_FILES):
            return await _transfer(request, services, rest.removeprefix(_FILES))
        if (request.method, path) == ("GET", "3.0/mlflow/server-info"):
            return _answer(_SERVER_INFO)
        if version != "2.0" or not rest.startswith(_TRACKING):
            raise unknown_endpoint(request.method, path)
        endpoint, named = find_endpoint(request.method, rest.removeprefix(_TRACKING))
        fields = await _read_fields(request, named)
        return _answer(await _run(request, services, endpoint, fields))
    except MlflowError as error:
        return _refuse(error)


async def _in_thread(call: Callable[..., Answer], *args: Any) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(_threads, call, *args)


async def _transfer(request: Request, services: Services, path: str) -> Response:
    """List, send, store or delete files. Scopes are checked before a byte of a body is read."""
    if path == "artifacts" and request.method == "GET":
        fields = read_query(request.query_params.multi_items())
        return _answer(await _run(request, services, _LIST_FILES, fields))
    address = path.removeprefix("artifacts/")
    if address == path:
        raise _refuse_other(request.method, path)
    _check_scope(request, "read" if request.method == "GET" else "user")
    if request.method == "GET":
        return await _in_thread(_send, services, address)
    if request.method == "PUT":
        await _store(request, services, address)
    elif request.method == "DELETE":
        await _in_thread(_delete, services, address)
    else:
        raise unknown_endpoint(request.method, f"mlflow-artifacts/{path}")
    return _answer({})


def _refuse_other(method: str, path: str) -> MlflowError:
    """Return the error of uploads in parts and of addresses in other stores: clients use them where offered."""
    for prefix, what in (("mpu/", "Multipart upload"), ("presigned/", "Presigned download")):
        if path.startswith(prefix):
            return MlflowError("NOT_IMPLEMENTED", f"{what} is not supported for the current artifact repository")
    return unknown_endpoint(method, f"mlflow-artifacts/{path}")


async def _read_fields(request: Request, named: Mapping[str, str]) -> Fields:
    if request.method == "GET":
        query = request.query_params.multi_items()
        return read_query([*query, *named.items()])
    fields = read_body(await request.body())
    # Clients send DELETEs with a body; where a proxy drops it, the query counts.
    return fields.with_values(named, read_query(request.query_params.multi_items()))


async def _run(request: Request, services: Services, endpoint: Endpoint, fields: Fields) -> dict[str, Any]:
    _check_scope(request, endpoint.scope)
    return await _in_thread(_run_in_transaction, services, endpoint, fields)


def _run_in_transaction(services: Services, endpoint: Endpoint, fields: Fields) -> dict[str, Any]:
    _prepare(services)
    if not endpoint.writes:
        with services.database.read() as session:
            return endpoint.answer(session, fields)
    with services.database.write() as session:
        answer = endpoint.answer(session, fields)
    services.feed.notify()
    return answer


def _prepare(services: Services) -> None:
    """Make MLflow's experiment `Default` when the service is asked for the first time."""
    if services.settings.read_only or services.database in _prepared:
        return
    with services.database.write() as session:
        insert_default(session)
    _prepared.add(services.database)


def _check_scope(request: Request, scope: str) -> None:
    grant: Grant = request.scope.get(GRANT, OPEN_GRANT)
    if scope not in grant.scopes:
        raise NotAuthenticated if grant is OPEN_GRANT else NotAllowed


async def _store(request: Request, services: Services, address: str) -> None:
    """Store a body under its address: nothing of it is visible before all of it is there.

    A small one is kept in memory until then, others are streamed to disk.
    """
    limit = services.settings.max_checkpoint_bytes
    length = request.headers.get("content-length", "")
    announced = int(length) if length.isdigit() else None
    _check_size(announced or 0, limit)
    if announced is not None and announced <= _IN_MEMORY:
        await _in_thread(_store_small, services, address, await request.body())
        return
    place = await _in_thread(_find_place, services, address)
    folder = services.settings.home.expanduser() if services.settings.home.expanduser().is_dir() else None
    digest, size, head = hashlib.sha256(), 0, b""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(folder) if folder else None) as file:
        async for chunk in request.stream():
            size += len(chunk)
            _check_size(size, limit)
            if chunk:
                digest.update(chunk)
                head += chunk[: HEAD_BYTES - len(head)]
                await _in_thread(_write, file, chunk)
        file.seek(0)
        await _in_thread(_commit, services, place, file, digest.hexdigest(), size, head)


def _store_small(services: Services, address: str, content: bytes) -> None:
    place, sha256 = _find_place(services, address), hashlib.sha256(content).hexdigest()
    _commit(services, place, io.BytesIO(content), sha256, len(content), content[:HEAD_BYTES])


def _find_place(services: Services, address: str) -> artifacts.Place:
    _prepare(services)
    with services.database.read() as session:
        place = artifacts.find_place(session, address, writes=True)
    if not place.name:
        raise missing("Name the file: an artifact needs a name behind /artifacts/.")
    return place


def _write(file: IO[bytes], chunk: bytes) -> None:
    with raising_storage_full():
        file.write(chunk)


def _commit(
    services: Services, place: artifacts.Place, file: IO[bytes], sha256: str, size: int, head: bytes
) -> None:
    writer = services.blobs.begin(sha256)
    try:
        while piece := file.read(_PIECE):
            writer.write(piece)
        writer.commit()
    finally:
        writer.abort()
    media_type, picture = _look_at(place, size, head)
    with services.database.write() as session:
        record_artifact(session, sha256, size, media_type)
        # The row is locked now, so a concurrent deletion of the same bytes has finished.
        if not services.blobs.exists(sha256):
            raise ServiceUnavailable("The file was being deleted; send it again.")
        artifacts.put_file(session, place, sha256, size)
        if place.job_id is not None:
            note_file(session, place.job_id, place.name, sha256, size, picture)
    services.prometheus.artifact_bytes.inc(size)
    services.feed.notify()


def _look_at(place: artifacts.Place, size: int, head: bytes) -> tuple[MediaType, Picture | None]:
    """Return the kind of a file by its first bytes, whatever its name says, and the picture that it is."""
    try:
        shape = check_png_header(head) if size <= MAX_PNG_BYTES else None
    except ArtifactRefused:
        shape = None
    if shape is None:
        return "application/octet-stream", None
    return "image/png", read_picture(place.name, *shape)


def _send(services: Services, address: str) -> Response:
    with services.database.read() as session:
        row = artifacts.find_file(session, artifacts.find_place(session, address))
        sha256, size = row.sha256, row.size
    try:
        file = services.blobs.open(sha256)
    except FileNotFoundError:
        raise missing("The bytes of this artifact are no longer stored.") from None
    # Always a download: an artifact may hold a page with scripts.
    headers = {"content-length": str(size), "content-disposition": "attachment"}
    return FileStream(file, headers, "application/octet-stream")


def _delete(services: Services, address: str) -> None:
    with services.database.write() as session:
        artifacts.delete_files(session, artifacts.find_place(session, address, writes=True))
    services.feed.notify()


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BodyTooLarge(f"The file is too large; the limit is {limit:,} bytes.")


def _answer(body: Mapping[str, Any]) -> Response:
    return Response(json.dumps(body), media_type="application/json")


def _refuse(error: MlflowError) -> Response:
    return Response(json.dumps(error_body(error.code, error.message)), error.status, media_type="application/json")
