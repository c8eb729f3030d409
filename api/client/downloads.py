"""Fetching files: streamed to disk, and only then given their name; a stored one once its sha256 is right."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import httpx

from api.client.transport import Transport, quote_id
from api.errors import ArtifactRefused

Query = Sequence[tuple[str, str]]
# The service draws before it answers, and others may stand before us.
DRAWING = httpx.Timeout(900.0, connect=5.0)


def download_artifact(transport: Transport, sha256: str, path: Path) -> Path:
    """Save the artifact at `path`, whose folder is made if need be; a damaged one raises ArtifactRefused.

    The file appears complete or not at all.
    """
    digest = hashlib.sha256()
    with _appearing(path) as file:
        with transport.stream(f"/artifacts/{quote_id(sha256)}") as response:
            for piece in response.iter_bytes():
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != sha256:
            raise ArtifactRefused(
                f"The artifact {sha256} arrived damaged: its bytes have the sha256 {digest.hexdigest()}.",
                sha256=sha256,
            )
    return path


def download_figure(transport: Transport, address: str, query: Query, path: Path) -> str:
    """Save what the service draws at `path`; return what the figure leaves out of what was asked for, if anything.

    The file appears complete or not at all.
    """
    with (
        _appearing(path) as file,
        transport.stream(address, params=httpx.QueryParams(list(query)), timeout=DRAWING) as response,
    ):
        for piece in response.iter_bytes():
            file.write(piece)
        return str(response.headers.get("x-left-out", ""))


@contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """Write a file that gets its name at the end; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's: such a file is its owner's alone, this one is as readable as any other new file.
    with (path.parent / f".download-{uuid4().hex}").open("xb") as file:
        try:
            yield file
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
