"""Downloads to a temporary file that is renamed when complete; artifacts are checked by their sha256 first."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from api.client.transport import Transport, quote_id
from api.errors import ArtifactRefused
from api.server.files import written_whole

Query = Sequence[tuple[str, str]]
# The service draws before it answers, and other figures may be queued before this one.
DRAWING = (5.0, 900.0, 900.0, 900.0)


def download_artifact(transport: Transport, sha256: str, path: Path) -> Path:
    """Save the artifact at `path`, whose folder is created if necessary; a damaged one raises ArtifactRefused.

    The file appears complete or not at all.
    """
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
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
    """Save a figure at `path`; return a sentence about what it leaves out, or an empty string.

    The file appears complete or not at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        written_whole(path) as file,
        transport.stream(address, params=list(query), timeout=DRAWING) as response,
    ):
        for piece in response.iter_bytes():
            file.write(piece)
        return str(response.headers.get("x-left-out", ""))
