"""The file store on a real S3 server: moto's, over HTTP on loopback."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from fastapi.testclient import TestClient

from api.artifacts import s3
from api.artifacts.s3 import S3Blobs
from api.errors import ArtifactRefused, ServiceUnavailable
from api.main import build_service
from api.server.settings import Settings
from tests.support.servers import serve_s3
from tests.support.services import HOST, QUIET, make_png, sha256

CONTENT = b"any bytes at all" * 1000
NAME = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    with serve_s3() as url:
        yield url


@pytest.fixture(autouse=True)
def bucket(endpoint_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=endpoint_url).create_bucket(Bucket="grids")


@pytest.fixture
def blobs(endpoint_url: str) -> Iterator[S3Blobs]:
    made = S3Blobs("s3://grids/lab", endpoint_url)
    yield made
    made.delete(NAME)


def write(blobs: S3Blobs, content: bytes, name: str) -> None:
    writer = blobs.begin(name)
    try:
        for start in range(0, len(content), 700):
            writer.write(content[start : start + 700])
        writer.commit()
    finally:
        writer.abort()


def test_a_blob_comes_back_as_it_was(blobs: S3Blobs) -> None:
    assert not blobs.exists(NAME)
    write(blobs, CONTENT, NAME)
    assert blobs.exists(NAME)
    with blobs.open(NAME) as file:
        assert file.read(10) + file.read() == CONTENT
    blobs.delete(NAME)
    blobs.delete(NAME)
    assert not blobs.exists(NAME)


def test_blobs_are_listed_by_age_and_nothing_else_that_lies_in_the_bucket(
    blobs: S3Blobs, endpoint_url: str
) -> None:
    write(blobs, CONTENT, NAME)
    client = boto3.client("s3", endpoint_url=endpoint_url)
    for key in ("lab/readme.txt", f"lab/{NAME}", f"other/{NAME[:2]}/{NAME}"):
        client.put_object(Bucket="grids", Key=key, Body=b"any")
    assert list(blobs.list_older(-60)) == [(NAME, len(CONTENT))]
    assert list(blobs.list_older(3600)) == []
    for key in ("lab/readme.txt", f"lab/{NAME}", f"other/{NAME[:2]}/{NAME}"):
        client.delete_object(Bucket="grids", Key=key)


def test_nothing_is_visible_before_the_commit(blobs: S3Blobs) -> None:
    writer = blobs.begin(NAME)
    writer.write(CONTENT)
    assert not blobs.exists(NAME)
    writer.abort()
    assert not blobs.exists(NAME)


def test_bytes_of_another_sha256_are_refused(blobs: S3Blobs) -> None:
    with pytest.raises(ArtifactRefused):
        write(blobs, CONTENT + b"!", NAME)
    assert not blobs.exists(NAME)


def test_objects_lie_below_the_prefix_by_their_sha256(blobs: S3Blobs, endpoint_url: str) -> None:
    write(blobs, CONTENT, NAME)
    client = boto3.client("s3", endpoint_url=endpoint_url)
    listed = client.list_objects_v2(Bucket="grids", Prefix="lab/")["Contents"]
    assert [item["Key"] for item in listed] == [f"lab/{NAME[:2]}/{NAME}"]


def test_what_is_not_there_is_not_found(blobs: S3Blobs) -> None:
    with pytest.raises(FileNotFoundError):
        blobs.open(NAME)
    for wrong in ("../secret", "A" * 64, ""):
        with pytest.raises(ValueError, match="not a sha256"):
            blobs.open(wrong)


def test_a_store_that_is_away_is_unavailable_and_not_missing() -> None:
    away = S3Blobs("s3://grids", "http://127.0.0.1:9")
    with pytest.raises(ServiceUnavailable):
        away.exists(NAME)


def test_a_bucket_that_there_is_not_says_so(endpoint_url: str) -> None:
    with pytest.raises(ServiceUnavailable, match="NoSuchBucket"):
        S3Blobs("s3://no-such-bucket", endpoint_url).open(NAME)


@pytest.mark.parametrize("url", ["s3://", "https://bucket", "bucket", "s3:///prefix"])
def test_an_address_that_names_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket"):
        S3Blobs(url)


def test_the_service_stores_and_serves_files_through_it(home: Path, endpoint_url: str) -> None:
    settings = Settings(home=home, blobs_url="s3://grids/service", s3_endpoint_url=endpoint_url, **QUIET)
    png = make_png(shade=7)
    with TestClient(build_service(settings), base_url=HOST) as client:
        path = f"/artifacts/{sha256(png)}"
        put = client.put(path, content=png, headers={"content-type": "image/png"})
        assert put.status_code == 200, put.text
        assert client.get(path).content == png
        wrong = client.put(f"/artifacts/{'a' * 64}", content=png, headers={"content-type": "image/png"})
        assert wrong.status_code == 422
    assert not settings.blobs_dir.exists()


def test_a_bucket_is_made_where_it_is_missing_and_only_there(endpoint_url: str) -> None:
    missing = S3Blobs("s3://made-on-the-way/lab", endpoint_url)
    with pytest.raises(ServiceUnavailable, match="NoSuchBucket"):
        write(missing, CONTENT, NAME)
    assert [missing.make_bucket(), missing.make_bucket()] == [True, False]
    write(missing, CONTENT, NAME)
    assert missing.exists(NAME)


# Larger files travel in parts.

LARGE = os.urandom(200_000)
LARGE_NAME = hashlib.sha256(LARGE).hexdigest()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 65_536)
    # A store wants 5 MiB.
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1024)


def list_uploads(endpoint_url: str) -> list[str]:
    listed = boto3.client("s3", endpoint_url=endpoint_url).list_multipart_uploads(Bucket="grids")
    return [upload["Key"] for upload in listed.get("Uploads", ())]


@pytest.mark.usefixtures("small_parts")
def test_a_large_blob_is_sent_in_parts_and_one_part_is_held(
    blobs: S3Blobs, endpoint_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    put = S3Blobs.put_part
    monkeypatch.setattr(S3Blobs, "put_part", lambda *given: sent.append(len(given[-1])) or put(*given))
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    writer = blobs.begin(LARGE_NAME)
    for start in range(0, len(LARGE), 10_000):
        writer.write(LARGE[start : start + 10_000])
        assert len(writer._waiting.getvalue()) < 65_536  # type: ignore[attr-defined]
    assert (len(sent), blobs.exists(LARGE_NAME)) == (2, False)
    writer.commit()
    writer.abort()
    assert (len(sent), sum(sent), max(sent)) == (3, len(LARGE), 70_000)
    with blobs.open(LARGE_NAME) as file:
        assert file.read() == LARGE
    assert list_uploads(endpoint_url) == []
    blobs.delete(LARGE_NAME)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("ends", ["given up", "with another sha256"])
def test_parts_of_a_blob_that_does_not_come_to_be_are_deleted(
    blobs: S3Blobs, endpoint_url: str, ends: str
) -> None:
    writer = blobs.begin(LARGE_NAME)
    writer.write(LARGE if ends == "given up" else LARGE[:-1] + b"!")
    assert len(list_uploads(endpoint_url)) == 1
    if ends != "given up":
        with pytest.raises(ArtifactRefused):
            writer.commit()
    writer.abort()
    assert (list_uploads(endpoint_url), blobs.exists(LARGE_NAME)) == ([], False)


@pytest.mark.usefixtures("small_parts")
def test_parts_that_a_crash_has_left_are_swept_when_they_are_old(
    blobs: S3Blobs, endpoint_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = S3Blobs._call

    def call_dated(self: S3Blobs, operation: str, **given: Any) -> Any:
        answer = call(self, operation, **given)
        # moto says 2010 of every upload.
        for upload in answer.get("Uploads", ()) if operation == "list_multipart_uploads" else ():
            upload["Initiated"] = datetime.now(UTC)
        return answer

    monkeypatch.setattr(S3Blobs, "_call", call_dated)
    blobs.begin(LARGE_NAME).write(LARGE)
    blobs.sweep(3600)
    assert len(list_uploads(endpoint_url)) == 1
    blobs.sweep(-3600)
    assert list_uploads(endpoint_url) == []


def test_later_parts_are_larger_so_that_ten_thousand_suffice() -> None:
    size = sum(s3.PART_BYTES * (1 + number // s3._PARTS_OF_A_SIZE) for number in range(10_000))
    assert size > 400 * 1024**3
