"""Blobs in an S3-compatible store such as AWS, MinIO, Ceph or R2.

A blob is written to a temporary file, checked, and put as one object under its sha256. The store checks the sha256
again, and an object appears complete or not at all. Credentials come from boto3's usual sources: AWS_ACCESS_KEY_ID
and AWS_SECRET_ACCESS_KEY, a profile, or the machine's role.
"""

import base64
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from api.artifacts.storage import BlobWriter, CheckedWriter, raising_storage_full
from api.errors import ServiceUnavailable

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MISSING = ("404", "NoSuchKey", "NotFound")
# Largest object of a single put; larger ones are uploaded in parts.
_SINGLE_PUT_BYTES = 5 * 1024**3


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
        """Begin a blob in a temporary file of this machine."""
        with raising_storage_full():
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
        """Do nothing: the system removes temporary files with the process."""

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

    def put(self, sha256: str, file: BinaryIO, size: int) -> None:
        """Store a file; the store refuses bytes with another sha256."""
        key = self._key(sha256)
        if size <= _SINGLE_PUT_BYTES:
            checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
            self._call("put_object", Key=key, Body=file, ContentLength=size, ChecksumSHA256=checksum)
        else:
            with _raising_unavailable():
                self._client.upload_fileobj(file, self._bucket, key)

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
    """Writes one blob to an unnamed temporary file, which the system removes in any case."""

    def __init__(self, blobs: S3Blobs, sha256: str) -> None:
        self._blobs = blobs
        super().__init__(sha256, cast(BinaryIO, tempfile.TemporaryFile()))  # noqa: SIM115 (commit or abort close it)

    def commit(self) -> None:
        """Put the object; raises ArtifactRefused for another sha256, and ServiceUnavailable."""
        self.check()
        with raising_storage_full():
            self._file.seek(0)
            self._blobs.put(self._sha256, self._file, self.size)
        self._file.close()

    def abort(self) -> None:
        """Drop the temporary file."""
        self._file.close()


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
