"""Schemas of stored files."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.server.http.schemas import MediaType, Request, Schema
from ganlib.events import Sha256


class ArtifactRead(Schema):
    """A stored file."""

    sha256: Sha256
    size: int
    media_type: MediaType
    url: str


class ArtifactsRead(Schema):
    """The stored files of a bundle, each once, in the bundle's order."""

    items: list[ArtifactRead]


class RunFileRead(Schema):
    """A file of a job. `url` gives its bytes; `name` is unique in the job, the newest file of a name counts."""

    name: str
    iteration: int
    attempt: int
    sha256: Sha256
    size: int
    media_type: str
    url: str
    created_at: datetime


class FileHeader(Request):
    """Precedes each file of a bundle: the next `size` bytes are the file's."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]
    media_type: MediaType
