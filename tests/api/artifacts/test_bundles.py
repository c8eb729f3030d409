"""Several small files in one request: stored as safely as one, refused as strictly."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.artifacts import storage
from api.artifacts.bundles import MAX_BUNDLE_BYTES, MAX_FILES, BundledFile, write_bundle
from api.artifacts.storage import LocalBlobs
from tests.support.services import make_png, sha256

BYTES = "application/octet-stream"
PNGS = [make_png(shade=shade) for shade in range(10)]


def bundle(contents: Sequence[bytes], media_type: Any = "image/png") -> bytes:
    return write_bundle(BundledFile(sha256(content), media_type, content) for content in contents)


def send(client: TestClient, body: bytes) -> Any:
    return client.post("/artifacts", content=body, headers={"content-type": BYTES})


def test_every_file_of_a_bundle_comes_back_byte_by_byte(client: TestClient) -> None:
    stored = send(client, bundle(PNGS)).json()["items"]
    assert [item["sha256"] for item in stored] == [sha256(content) for content in PNGS]
    for content, item in zip(PNGS, stored, strict=True):
        answer = client.get(item["url"])
        assert (answer.content, answer.headers["content-type"]) == (content, "image/png")


def test_a_bundle_may_be_sent_again_and_name_a_file_twice(client: TestClient) -> None:
    for _ in range(2):
        assert len(send(client, bundle([*PNGS, PNGS[0]])).json()["items"]) == len(PNGS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"{}\n",
        b"x" * 1000,
        b'{"sha256":"../../etc/passwd","size":0,"media_type":"image/png"}\n',
        bundle(PNGS)[:-1],
        bundle(PNGS) + b"x",
        bundle(PNGS).replace(b'"size":', b'"size":-'),
        bundle(PNGS).replace(b'"size":', b'"size":9'),
        bundle(PNGS).replace(b"image/png", b"text/html"),
        bundle(PNGS).replace(b'{"sha256"', b'{"path":"x","sha256"'),
        bundle([bytes([index]) for index in range(MAX_FILES + 1)], BYTES),
    ],
)
def test_a_body_that_is_no_bundle_is_refused(client: TestClient, tmp_path: Path, body: bytes) -> None:
    assert send(client, body).status_code == 422


def test_a_bundle_is_refused_whole(client: TestClient) -> None:
    other_bytes = bundle(PNGS).replace(sha256(PNGS[-1]).encode(), b"0" * 64)
    for body in (other_bytes, bundle([*PNGS, b"no image"])):
        assert send(client, body).json()["error"]["code"] == "artifact_refused"
        assert client.get(f"/artifacts/{sha256(PNGS[0])}").status_code == 404


def test_a_bundle_that_is_too_large_is_refused_before_it_is_read(client: TestClient) -> None:
    assert send(client, bundle([b"x" * MAX_BUNDLE_BYTES], BYTES)).status_code == 413


def test_a_file_of_a_bundle_is_synced_before_it_is_named_and_its_folder_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, Path]] = []  # of several threads
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.name.endswith(storage.TORN_SUFFIX):
            fsync(descriptor)
            steps.append(("file", path))
        else:
            steps.append(("folder", path))
            fsync(descriptor)

    def note_replace(source: Path, target: Path) -> Path:
        assert ("file", source) in steps
        replace(source, target)
        steps.append(("name", target))
        return target

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    contents = {sha256(bytes([index])): bytes([index]) for index in range(20)}
    storage.store_all(LocalBlobs(tmp_path / "blobs"), contents)
    for name, content in contents.items():
        path = tmp_path / "blobs" / name[:2] / name
        assert path.read_bytes() == content
        assert ("folder", path.parent) in steps[steps.index(("name", path)) :]
