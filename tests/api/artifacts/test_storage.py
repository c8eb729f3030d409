"""The file store on a local disk: what a crash leaves behind is found and deleted."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from api.artifacts.storage import LocalBlobs
from api.errors import ArtifactRefused

CONTENT = b"any bytes"
NAME = hashlib.sha256(CONTENT).hexdigest()
HOUR = 3600.0


def test_what_a_crash_cut_off_long_ago_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    whole = blobs.begin(NAME)
    whole.write(CONTENT)
    whole.commit()
    torn, under_way = (blobs.begin(name * 64) for name in "ab")
    for writer in (torn, under_way):
        writer.write(b"half of")
    (old,) = (tmp_path / "aa").iterdir()
    os.utime(old, (time.time() - 2 * HOUR,) * 2)
    blobs.sweep(HOUR)
    assert [path.parent.name for path in tmp_path.rglob("*") if path.is_file() and path.name.startswith(".")] == [
        "bb"
    ]
    assert blobs.exists(NAME)
    torn.abort()
    under_way.abort()


def test_bytes_of_another_sha256_never_get_their_name(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    writer = blobs.begin(NAME)
    writer.write(CONTENT + b"!")
    with pytest.raises(ArtifactRefused):
        writer.commit()
    writer.abort()
    assert not blobs.exists(NAME)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
