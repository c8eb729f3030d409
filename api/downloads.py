"""Fetching a stored file: streamed to disk, checked against its sha256, and only then given its name."""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

from api.errors import ArtifactRefused
from api.transport import Transport, quote_id


def download_artifact(transport: Transport, sha256: str, path: Path) -> Path:
    """Save the artifact at `path`, whose folder is made if need be; a damaged one raises ArtifactRefused.

    The file appears complete or not at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    # Not tempfile's: such a file is its owner's alone, this one is as readable as any other new file.
    with (path.parent / f".download-{uuid4().hex}").open("xb") as file:
        try:
            with transport.stream(f"/artifacts/{quote_id(sha256)}") as response:
                for piece in response.iter_bytes():
                    digest.update(piece)
                    file.write(piece)
            if digest.hexdigest() != sha256:
                raise ArtifactRefused(
                    f"The artifact {sha256} arrived damaged: its bytes have the sha256 {digest.hexdigest()}.",
                    sha256=sha256,
                )
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    return path
