"""Blobs in an S3-compatible store such as AWS, MinIO, Ceph or R2.

A small blob is checked in memory and put as one object under its sha256. A larger one is sent in parts as they
come, and becomes an object only when all of it has the right sha256; one part is held at a time, and nothing on
the disk. The store checks what it gets again, and an object appears complete or not at all.

Credentials come from boto3's usual sources: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the
machine's role.
"""

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from api.artifacts.storage import BlobWriter, CheckedWriter
from api.errors import ServiceUnavailable
from api.server.settings import MIB

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MISSING = ("404", "NoSuchKey", "NoSuchUpload", "NotFound")
# A store takes at most 10,000 parts of an object, so later parts are larger: the last thousand of 78 MiB each.
PART_BYTES = 8 * MIB
_PARTS_OF_A_SIZE = 1000


class S3Blobs:
    """Blobs in a bucket, below a prefix. url: `s3://bucket` or `s3://bucket/some/prefix`.

    endpoint_url: address of a store other than AWS. The first use connects.
    """

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise ValueError(f"GANVAS_BLOBS_URL must be s3://bucket or s3://bucket/prefix, not {url!r}.")
        self._bucket = parts.netloc
        prefix = parts.path.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint_url = endpoint_url

    def begin(self, sha256: str) -> BlobWriter:
        """Begin a blob."""
        return S3Writer(self, sha256)

    def open(self, sha256: str) -> BinaryIO:
        """Open for reading; raises FileNotFoundError, or ServiceUnavailable when the store does not answer."""
        return cast(BinaryIO, self._call("get_object", Key=self._key(sha256))["Body"])

    def exists(self, sha256: str) -> bool:
        """Return whether the blob is stored."""
        try:
            self._call("head_object", Key=self._key(sha256))
        except FileNotFoundError:
            return False
        return True

    def delete(self, sha256: str) -> None:
        """Delete the blob if it is stored."""
        self._call("delete_object", Key=self._key(sha256))

    def sweep(self, seconds: float) -> None:
        """Delete the parts of uploads that began longer ago than this and were neither completed nor given up."""
        oldest = datetime.now(UTC) - timedelta(seconds=seconds)
        listed = self._call("list_multipart_uploads", Prefix=self._prefix)
        for upload in listed.get("Uploads", ()):
            if upload["Initiated"] < oldest:
                # Another replica may sweep at the same time.
                with suppress(FileNotFoundError):
                    self._call("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])

    def list_older(self, seconds: float) -> Iterator[tuple[str, int]]:
        """Yield sha256 and size of every blob that was written longer ago than this."""
        latest = datetime.now(UTC) - timedelta(seconds=seconds)
        position: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=self._prefix, **position)
            for item in page.get("Contents", ()):
                name = item["Key"].rpartition("/")[2]
                if _SHA256.fullmatch(name) and item["Key"] == self._key(name) and item["LastModified"] < latest:
                    yield name, item["Size"]
            if not page.get("IsTruncated"):
                return
            position = {"ContinuationToken": page["NextContinuationToken"]}

    def put(self, sha256: str, content: bytes) -> None:
        """Store a small file; the store refuses bytes with another sha256."""
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        self._call("put_object", Key=self._key(sha256), Body=content, ChecksumSHA256=checksum)

    def begin_parts(self, sha256: str) -> str:
        """Begin an upload in parts; returns its id."""
        begun = self._call("create_multipart_upload", Key=self._key(sha256), ChecksumAlgorithm="SHA256")
        return str(begun["UploadId"])

    def put_part(self, sha256: str, upload_id: str, number: int, content: bytes) -> dict[str, Any]:
        """Send one part; returns what completing the upload needs to know of it."""
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        put = self._call(
            "upload_part",
            Key=self._key(sha256),
            UploadId=upload_id,
            PartNumber=number,
            Body=content,
            ChecksumSHA256=checksum,
        )
        return {"PartNumber": number, "ETag": put["ETag"], "ChecksumSHA256": checksum}

    def complete_parts(self, sha256: str, upload_id: str, parts: list[dict[str, Any]]) -> None:
        """Make an object of the parts."""
        self._call(
            "complete_multipart_upload",
            Key=self._key(sha256),
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
        )

    def abort_parts(self, sha256: str, upload_id: str) -> None:
        """Delete the parts."""
        self._call("abort_multipart_upload", Key=self._key(sha256), UploadId=upload_id)

    def make_bucket(self) -> bool:
        """Create the bucket if it is missing; returns whether it was. Raises ServiceUnavailable."""
        try:
            self._call("head_bucket")
        except FileNotFoundError:
            region = self._client.meta.region_name
            # The default region must not be named.
            is_named = region not in (None, "us-east-1", "aws-global")
            location = {"CreateBucketConfiguration": {"LocationConstraint": region}} if is_named else {}
            self._call("create_bucket", **location)
            return True
        return False

    def _key(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a sha256: {sha256!r}")
        return f"{self._prefix}{sha256[:2]}/{sha256}"

    def _call(self, operation: str, **arguments: Any) -> Any:
        with _raising_unavailable():
            return getattr(self._client, operation)(Bucket=self._bucket, **arguments)

    @cached_property
    def _client(self) -> Any:
        # Imported here: most services store files on disk, and boto3 takes a second to load.
        import boto3
        from botocore.config import Config

        config = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"})
        return boto3.client("s3", endpoint_url=self._endpoint_url, config=config)


class S3Writer(CheckedWriter):
    """Sends one blob; no more than one part of it is in memory."""

    def __init__(self, blobs: S3Blobs, sha256: str) -> None:
        self._blobs = blobs
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._waiting = io.BytesIO()
        super().__init__(sha256, self._waiting)

    def write(self, data: bytes) -> None:
        """Add bytes; raises ServiceUnavailable."""
        super().write(data)
        if self._waiting.tell() >= PART_BYTES * (1 + len(self._parts) // _PARTS_OF_A_SIZE):
            self._send_part()

    def commit(self) -> None:
        """Make the object; raises ArtifactRefused for another sha256, and ServiceUnavailable."""
        self.check()
        if self._upload_id is None:
            self._blobs.put(self._sha256, self._waiting.getvalue())
        else:
            if self._waiting.tell():
                self._send_part()
            self._blobs.complete_parts(self._sha256, self._upload_id, self._parts)
            self._upload_id = None
        self._waiting.close()

    def abort(self) -> None:
        """Drop what has been sent; what the store cannot drop now is swept later."""
        self._waiting.close()
        if self._upload_id is not None:
            with suppress(FileNotFoundError, ServiceUnavailable):
                self._blobs.abort_parts(self._sha256, self._upload_id)
            self._upload_id = None

    def _send_part(self) -> None:
        if self._upload_id is None:
            self._upload_id = self._blobs.begin_parts(self._sha256)
        part = self._blobs.put_part(self._sha256, self._upload_id, len(self._parts) + 1, self._waiting.getvalue())
        self._parts.append(part)
        self._waiting.seek(0)
        self._waiting.truncate()


class _raising_unavailable:  # noqa: N801 (used as a function)
    """Turn boto3's errors into FileNotFoundError for a missing object, and ServiceUnavailable otherwise."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _MISSING:
                raise FileNotFoundError(code) from error
            raise ServiceUnavailable(f"The file store refused a request ({code}).") from error
        if isinstance(error, BotoCoreError):
            raise ServiceUnavailable("The file store cannot be reached; try again shortly.") from error
