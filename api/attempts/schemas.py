"""What ran: code, versions, machine."""

from typing import Annotated

from pydantic import Field

from api.server.http.schemas import Schema
from ganlib.events import Sha256


class Ran(Schema):
    """What is known of the code and the machine of an attempt, but for uncommitted changes."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    dirty: bool | None = None
    branch: Annotated[str, Field(max_length=200)] | None = None
    remote: Annotated[str, Field(max_length=300)] | None = None
    diff_truncated: bool = False
    python: Annotated[str, Field(max_length=50)] = ""
    versions: Annotated[dict[str, Annotated[str, Field(max_length=100)]], Field(max_length=100)] = {}
    device: Annotated[str, Field(max_length=200)] = ""
    hostname: Annotated[str, Field(max_length=200)] = ""
    platform: Annotated[str, Field(max_length=200)] = ""
    command: Annotated[str, Field(max_length=500)] = ""


class Provenance(Ran):
    """What ran: recorded when a worker claims. `commit` is null outside a git checkout.

    dirty: whether tracked files were changed since that commit; null where the worker does not say, which
    `uncommitted_diff` then does.
    """

    uncommitted_diff: Annotated[str, Field(max_length=262_144)] = ""


class DiffRead(Schema):
    """Uncommitted changes, as large as they are: lines added and removed, bytes, and where the diff itself is."""

    added: int
    removed: int
    size: int
    sha256: Sha256
    url: str


class ProvenanceRead(Ran):
    """What ran. `diff` is null when nothing was uncommitted, or nothing is known of it."""

    diff: DiffRead | None = None
