"""Files on their way to the service: large ones one by one, small ones many to a request."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from api.bundles import MAX_FILES, BundledFile
from api.schemas import MediaType
from api.worker_client import WorkerClient

# A sample grid is small, a checkpoint is not.
SMALL_BYTES = 1024 * 1024
# Well below the service's limit, headers included.
BUNDLE_BYTES = 7 * 1024 * 1024


@dataclass(frozen=True)
class Upload:
    """A file and what the service is told of it."""

    path: Path
    sha256: str
    media_type: MediaType


def upload(client: WorkerClient, files: Iterable[Upload]) -> None:
    """Upload files in their order; each is stored durably when this returns. Doing it twice does no harm."""
    for group in _group(files):
        if len(group) == 1:
            client.put_artifact(group[0].path, group[0].sha256, group[0].media_type)
        else:
            client.put_artifacts(
                [BundledFile(file.sha256, file.media_type, file.path.read_bytes()) for file in group]
            )


def _group(files: Iterable[Upload]) -> Iterator[list[Upload]]:
    """Yield files that travel together: neighbours that are small."""
    group: list[Upload] = []
    total = 0
    for file in files:
        size = file.path.stat().st_size
        if group and (len(group) == MAX_FILES or total + size > BUNDLE_BYTES or size > SMALL_BYTES):
            yield group
            group, total = [], 0
        group.append(file)
        total += size if size <= SMALL_BYTES else BUNDLE_BYTES
    if group:
        yield group
