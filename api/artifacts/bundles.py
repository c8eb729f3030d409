"""Bundles: several small files in one body, each as a line of JSON followed by its bytes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from api.artifacts.schemas import FileHeader
from api.errors import RequestInvalid
from api.server.http.schemas import MediaType

MAX_FILES = 64
MAX_BUNDLE_BYTES = 8 * 1024 * 1024
_MAX_HEADER_BYTES = 300


@dataclass(frozen=True)
class BundledFile:
    """One file; its bytes are not yet checked against the sha256."""

    sha256: str
    media_type: MediaType
    content: bytes


def write_bundle(files: Iterable[BundledFile]) -> bytes:
    """Write files as one body."""
    return b"".join(part for file in files for part in (_describe(file), b"\n", file.content))


def read_bundle(raw: bytes) -> list[BundledFile]:
    """Read the output of write_bundle; raises RequestInvalid."""
    files = list(_read_files(raw))
    if not 1 <= len(files) <= MAX_FILES:
        raise _refuse(len(files), f"must have 1 to {MAX_FILES} files")
    return files


def _read_files(raw: bytes) -> Iterator[BundledFile]:
    position = index = 0
    while position < len(raw) and index <= MAX_FILES:
        end = raw.find(b"\n", position, position + _MAX_HEADER_BYTES)
        if end < 0:
            raise _refuse(index, f"must begin with a line of JSON of at most {_MAX_HEADER_BYTES} bytes")
        try:
            header = FileHeader.model_validate_json(raw[position:end])
        except ValidationError as error:
            raise _refuse(index, str(error.errors(include_url=False)[0]["msg"])) from None
        position = end + 1 + header.size
        if position > len(raw):
            raise _refuse(index, "the body ends before the end of the file")
        yield BundledFile(header.sha256, header.media_type, raw[end + 1 : position])
        index += 1


def _describe(file: BundledFile) -> bytes:
    header = FileHeader(sha256=file.sha256, size=len(file.content), media_type=file.media_type)
    return header.model_dump_json().encode()


def _refuse(index: int, message: str) -> RequestInvalid:
    sentence = f"file {index} of the bundle: {message}"
    return RequestInvalid(sentence, problems=[{"field": f"files.{index}", "given": "", "message": message}])
