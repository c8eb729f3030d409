"""Stored files: whole or not at all, known by their sha256, deleted only when nothing needs them."""

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from api.artifacts import queries as artifact_queries
from api.artifacts import storage
from api.artifacts.png import check_png_header
from api.errors import ArtifactRefused
from api.main import build_service
from api.server.database.clock import database_now
from api.server.database.models import Artifact
from api.server.services import Services
from api.server.settings import Settings
from tests.support.services import HOST, QUIET, TINY_SPEC, make_png, sha256

BYTES = "application/octet-stream"
PNG = "image/png"


def put(client: TestClient, content: bytes, media_type: str = BYTES, name: str | None = None) -> Any:
    return client.put(
        f"/artifacts/{name or sha256(content)}", content=content, headers={"content-type": media_type}
    )


def list_files(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "blobs").rglob("*") if path.is_file())


def services_of(client: TestClient) -> Services:
    services: Services = client.app.state.services  # type: ignore[attr-defined]
    return services


def test_a_file_comes_back_byte_by_byte_as_a_download(client: TestClient) -> None:
    content = bytes(range(256)) * 5000
    stored = put(client, content)
    assert stored.json() == {
        "sha256": sha256(content),
        "size": len(content),
        "media_type": BYTES,
        "url": f"/artifacts/{sha256(content)}",
    }
    answer = client.get(stored.json()["url"])
    assert answer.content == content
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-length"] == str(len(content))


def test_an_image_is_shown_in_place_and_never_asked_for_again(client: TestClient) -> None:
    content = make_png()
    url = put(client, content, PNG).json()["url"]
    answer = client.get(url)
    assert (answer.content, answer.headers["content-type"]) == (content, PNG)
    assert answer.headers["content-disposition"].startswith("inline")
    assert "immutable" in answer.headers["cache-control"]
    known = client.get(url, headers={"if-none-match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_html_that_claims_to_be_bytes_is_never_shown(client: TestClient) -> None:
    answer = client.get(put(client, b"<script>alert(1)</script>").json()["url"])
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == BYTES
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_same_file_may_be_sent_again_and_stays_an_image(client: TestClient) -> None:
    content = make_png()
    assert put(client, content).json()["media_type"] == BYTES
    assert put(client, content, PNG).json()["media_type"] == PNG
    assert put(client, content).json()["media_type"] == PNG


@pytest.mark.parametrize(
    ("content", "media_type", "name", "status", "code"),
    [
        (b"other bytes", BYTES, "0" * 64, 422, "artifact_refused"),
        (b"no image", PNG, None, 422, "artifact_refused"),
        (make_png(5000, 4000), PNG, None, 422, "artifact_refused"),
        (make_png()[:20], PNG, None, 422, "artifact_refused"),
        (b"<svg/>", "image/svg+xml", None, 422, "artifact_refused"),
        (b"bytes", BYTES, "ABC", 422, "request_invalid"),
        (make_png() + b"\0" * 8_388_608, PNG, None, 413, "body_too_large"),
        (b"x" * 100_001, BYTES, None, 413, "body_too_large"),
    ],
)
def test_a_refused_file_leaves_nothing_behind(
    home: Path, content: bytes, media_type: str, name: str | None, status: int, code: str
) -> None:
    settings = Settings(home=home, max_checkpoint_bytes=100_000, **QUIET)
    with TestClient(build_service(settings), base_url=HOST) as client:
        answer = put(client, content, media_type, name)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        with services_of(client).database.read() as session:
            assert session.scalars(select(Artifact)).all() == []
    assert list_files(home) == []


def test_a_file_without_a_length_is_refused_at_the_limit(home: Path) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    settings = Settings(home=home, max_checkpoint_bytes=100_000, **QUIET)
    with TestClient(build_service(settings), base_url=HOST) as client:
        answer = client.put(f"/artifacts/{'0' * 64}", content=parts(), headers={"content-type": BYTES})
    assert answer.status_code == 413
    assert list_files(home) == []


def test_a_path_out_of_the_folder_is_no_address(client: TestClient, home: Path) -> None:
    (home / "secret").write_text("secret", encoding="utf-8")
    for path in ("../secret", "..%2Fsecret", "%2e%2e%2fsecret"):
        assert client.get(f"/artifacts/{path}").status_code in (404, 422)


def test_a_full_disk_is_told_and_leaves_nothing_behind(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = put(client, b"before").json()["url"]

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", fail)
    answer = put(client, b"after")
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")
    assert client.get(kept).content == b"before"
    assert list_files(home) == [sha256(b"before")]


def test_a_file_is_durable_under_its_name_before_its_row_exists(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_fsync, real_replace, real_insert = os.fsync, Path.replace, artifact_queries.insert_artifact

    def fsync(descriptor: int) -> None:
        steps.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "fsync file")
        real_fsync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(path, target)

    def insert(*arguments: Any) -> Artifact:
        steps.append("row")
        return real_insert(*arguments)

    put(client, b"so that its folder exists")
    monkeypatch.setattr(storage.os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(artifact_queries, "insert_artifact", insert)
    put(client, b"so that its folder exists")
    assert steps == ["fsync file", "rename", "fsync folder", "row"]


def test_a_file_that_is_deleted_while_it_is_put_again_is_asked_for_once_more(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = services_of(client).blobs
    monkeypatch.setattr(blobs, "exists", lambda _: False)
    answer = put(client, b"bytes")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    monkeypatch.undo()
    assert client.get(f"/artifacts/{sha256(b'bytes')}").status_code == 404
    assert put(client, b"bytes").status_code == 200


def test_a_checkpoint_that_made_room_loses_its_file(client: TestClient, home: Path) -> None:
    job_id = client.post("/jobs", json=TINY_SPEC).json()["id"]
    client.post("/workers/claim", json={"worker": "w"})
    for index in range(3):
        content = b"weights %d" % index
        put(client, content)
        file = {"path": "checkpoint.safetensors", "sha256": sha256(content), "size": len(content)}
        event = {"kind": "checkpoint_saved", "iteration": index + 1, "file": file}
        posted = {"events": [{"seq": index, "at": "2026-01-02T03:04:05Z", "event": event}]}
        assert client.post(f"/jobs/{job_id}/attempts/1/events", json=posted).status_code == 200
    assert list_files(home) == sorted([sha256(b"weights 1"), sha256(b"weights 2")])
    urls = [point["url"] for point in client.get(f"/jobs/{job_id}/checkpoints").json()["items"]]
    assert [url is not None for url in urls] == [False, True, True]
    client.post(f"/jobs/{job_id}/attempts/1/finish", json={"end": "preempted", "events_count": 3})
    resume = client.post("/workers/claim", json={"worker": "w"}).json()["resume"]
    assert resume == {"iteration": 3, "sha256": sha256(b"weights 2"), "size": 9}


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_stored_checkpoint_that_cannot_be_read_is_deleted_only_if_it_is_damaged(
    client: TestClient, home: Path, is_damaged: bool
) -> None:
    job_id = client.post("/jobs", json=TINY_SPEC).json()["id"]
    content = b"all that is needed to resume"
    file = {"path": "checkpoint.safetensors", "sha256": sha256(content), "size": len(content)}
    client.post("/workers/claim", json={"worker": "w"})
    put(client, content)
    event = {"kind": "checkpoint_saved", "iteration": 1, "file": file}
    posted = {"events": [{"seq": 0, "at": "2026-01-02T03:04:05Z", "event": event}]}
    assert client.post(f"/jobs/{job_id}/attempts/1/events", json=posted).status_code == 200
    client.post(f"/jobs/{job_id}/attempts/1/finish", json={"end": "preempted", "events_count": 1})
    assert client.post("/workers/claim", json={"worker": "w"}).json()["resume"]["iteration"] == 1
    stored = next((home / "blobs").rglob(sha256(content)))
    if is_damaged:
        stored.write_bytes(content[:-1] + b"?")
    reason = {"code": "checkpoint_unreadable", "message": "Its sha256 is another."}
    ended = client.post(
        f"/jobs/{job_id}/attempts/2/finish", json={"end": "failed", "events_count": 0, "reason": reason}
    )
    assert ended.status_code == 200
    assert stored.exists() is not is_damaged
    # No row names a file that is gone.
    [checkpoint] = client.get(f"/jobs/{job_id}").json()["checkpoints"]
    assert (checkpoint["url"] is None) is is_damaged
    assert client.get(f"/artifacts/{sha256(content)}").status_code == (404 if is_damaged else 200)


def test_files_that_no_event_named_are_swept_after_a_day(client: TestClient, home: Path) -> None:
    services = services_of(client)
    for content in (b"old", b"new"):
        put(client, content)
    with services.database.write() as session:
        old = update(Artifact).where(Artifact.sha256 == sha256(b"old"))
        session.execute(old.values(created_at=database_now(-90_000)))
    services.reaper._sweep()
    assert list_files(home) == [sha256(b"new")]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, b"\x88PNG"),
        (8, struct.pack(">I", 14)),
        (12, b"IDAT"),
        (16, struct.pack(">I", 0)),
        (20, struct.pack(">I", 0)),
        (24, b"\x03"),
        (25, b"\x01"),
        (26, b"\x02"),
        (28, b"\x02"),
    ],
)
def test_a_damaged_png_header_is_refused(place: int, value: bytes) -> None:
    head = make_png(3, 2)[:33]
    assert check_png_header(head) == (3, 2)
    with pytest.raises(ArtifactRefused):
        check_png_header(head[:place] + value + head[place + len(value) :])


def test_the_largest_image_is_taken_and_one_pixel_more_is_not() -> None:
    assert check_png_header(make_png(4000, 4000)[:33]) == (4000, 4000)
    with pytest.raises(ArtifactRefused, match="16,000,000"):
        check_png_header(make_png(4000, 4001)[:33])
