"""Downloads to a temporary file that is renamed when complete; artifacts are checked by their sha256 first."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from api.client.transport import AsyncTransport, Transport, quote_id
from api.errors import ArtifactRefused
from api.server.files import written_whole

Query = Sequence[tuple[str, str]]
# The service draws before it answers, and other figures may be queued before this one.
DRAWING = (5.0, 900.0, 900.0, 900.0)


class _CheckedFile:
    """A file that is written and hashed piece by piece."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Add a piece."""
        self.digest.update(piece)
        self._file.write(piece)


@contextmanager
def _receiving(path: Path, sha256: str | None = None) -> Iterator[_CheckedFile]:
    """Yield a file that appears complete at `path` with the block's end, if it has this sha256, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        received = _CheckedFile(file)
        yield received
        if sha256 is not None and received.digest.hexdigest() != sha256:
            raise ArtifactRefused(
                f"The artifact {sha256} arrived damaged: its bytes have the sha256 {received.digest.hexdigest()}.",
                sha256=sha256,
            )


def _artifact_path(sha256: str) -> str:
    return f"/artifacts/{quote_id(sha256)}"


def _left_out(headers: Any) -> str:
    return str(headers.get("x-left-out", ""))


def download_artifact(transport: Transport, sha256: str, path: Path) -> Path:
    """Save the artifact at `path`, whose folder is created if necessary; a damaged one raises ArtifactRefused.

    The file appears complete or not at all.
    """
    with _receiving(path, sha256) as file, transport.stream(_artifact_path(sha256)) as response:
        for piece in response.iter_bytes():
            file.write(piece)
    return path


async def download_artifact_async(transport: AsyncTransport, sha256: str, path: Path) -> Path:
    """Do the same as `download_artifact`."""
    with _receiving(path, sha256) as file:
        async with transport.stream(_artifact_path(sha256)) as response:
            async for piece in response.aiter_bytes():
                file.write(piece)
    return path


def page_query(runs: Sequence[str], metrics: Sequence[str], max_bytes: int | None) -> tuple[str, Query]:
    """Return the address and query of a run, or of a comparison of several, as one file."""
    limit = [] if max_bytes is None else [("max_size", str(max_bytes))]
    if len(runs) == 1:
        return f"/runs/{quote_id(runs[0])}/export.html", limit
    return "/compare/export.html", [
        *(("run", run) for run in runs),
        *(("metric", name) for name in metrics),
        *limit,
    ]


def download_figure(transport: Transport, address: str, query: Query, path: Path) -> str:
    """Save a figure at `path`; return a sentence about what it leaves out, or an empty string.

    The file appears complete or not at all.
    """
    options = {"params": list(query), "timeout": DRAWING}
    with _receiving(path) as file, transport.stream(address, **options) as response:
        for piece in response.iter_bytes():
            file.write(piece)
        return _left_out(response.headers)


async def download_figure_async(transport: AsyncTransport, address: str, query: Query, path: Path) -> str:
    """Do the same as `download_figure`."""
    with _receiving(path) as file:
        async with transport.stream(address, params=list(query), timeout=DRAWING) as response:
            async for piece in response.aiter_bytes():
                file.write(piece)
            return _left_out(response.headers)
