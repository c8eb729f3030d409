"""Blobs in an S3-compatible store: AWS, MinIO, Ceph, R2 and their like.

A blob is collected in a temporary file, checked, and put as one object under its sha256. The store checks the same
sha256 again on its side, and shows an object whole or not at all. Credentials come from where boto3 looks for
them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the machine's role.
"""

import base64
import re
import tempfile
from functools import cached_property
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from api.artifacts.storage import BlobWriter, CheckedWriter, full_disk_is_storage_full
from api.errors import ServiceUnavailable

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MISSING = ("404", "NoSuchKey", "NotFound")
# The largest object that a single put may bring; beyond it a store wants parts.
_SINGLE_PUT_BYTES = 5 * 1024**3


class S3Blobs:
    """Blobs in a bucket, below a prefix. url: `s3://bucket` or `s3://bucket/some/prefix`.

    endpoint_url: address of the store where that is not AWS. Nothing is connected to before the first use.
    """

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise ValueError(f"GANVAS_BLOBS_URL is s3://bucket or s3://bucket/prefix, not {url!r}.")
        self._bucket = parts.netloc
        prefix = parts.path.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint_url = endpoint_url

    def begin(self, sha256: str) -> BlobWriter:
        """Begin a blob in a temporary file of this machine."""
        with full_disk_is_storage_full():
            return S3Writer(self, sha256)

    def open(self, sha256: str) -> BinaryIO:
        """Open for reading; raises FileNotFoundError, or ServiceUnavailable when the store does not answer."""
        return cast(BinaryIO, self._call("get_object", Key=self._key(sha256))["Body"])

    def exists(self, sha256: str) -> bool:
        """Say whether the blob is there."""
        try:
            self._call("head_object", Key=self._key(sha256))
        except FileNotFoundError:
            return False
        return True

    def delete(self, sha256: str) -> None:
        """Delete the blob if it is there."""
        self._call("delete_object", Key=self._key(sha256))

    def sweep(self, seconds: float) -> None:
        """Do nothing: what an upload leaves behind, the system removes with the process."""

    def put(self, sha256: str, file: BinaryIO, size: int) -> None:
        """Store a whole file; the store refuses bytes of another sha256."""
        key = self._key(sha256)
        if size <= _SINGLE_PUT_BYTES:
            checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
            self._call("put_object", Key=key, Body=file, ContentLength=size, ChecksumSHA256=checksum)
        else:
            with _told_as_unavailable():
                self._client.upload_fileobj(file, self._bucket, key)

    def make_bucket(self) -> bool:
        """Make the bucket where it is missing; returns whether it was. Raises ServiceUnavailable."""
        try:
            self._call("head_bucket")
        except FileNotFoundError:
            region = self._client.meta.region_name
            # The store's first region is the one that may not be named.
            elsewhere = region not in (None, "us-east-1", "aws-global")
            place = {"CreateBucketConfiguration": {"LocationConstraint": region}} if elsewhere else {}
            self._call("create_bucket", **place)
            return True
        return False

    def _key(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a sha256: {sha256!r}")
        return f"{self._prefix}{sha256[:2]}/{sha256}"

    def _call(self, operation: str, **arguments: Any) -> Any:
        with _told_as_unavailable():
            return getattr(self._client, operation)(Bucket=self._bucket, **arguments)

    @cached_property
    def _client(self) -> Any:
        # Imported here: most services store their files on disk, and boto3 takes a second to load.
        import boto3
        from botocore.config import Config

        config = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"})
        return boto3.client("s3", endpoint_url=self._endpoint_url, config=config)


class S3Writer(CheckedWriter):
    """Collects one blob in an unnamed temporary file, which the system removes whatever happens."""

    def __init__(self, blobs: S3Blobs, sha256: str) -> None:
        self._blobs = blobs
        super().__init__(sha256, cast(BinaryIO, tempfile.TemporaryFile()))  # noqa: SIM115 (commit or abort close it)

    def commit(self) -> None:
        """Put the object; raises ArtifactRefused when its sha256 is another one, ServiceUnavailable."""
        self.check()
        with full_disk_is_storage_full():
            self._file.seek(0)
            self._blobs.put(self._sha256, self._file, self.size)
        self._file.close()

    def abort(self) -> None:
        """Drop the temporary file."""
        self._file.close()


class _told_as_unavailable:  # noqa: N801 (used as a function)
    """Turn boto3's errors into FileNotFoundError for what is missing, and ServiceUnavailable for all else."""

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
