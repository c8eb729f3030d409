"""Disks that fill up: small ones that root may mount, and what is written to fill them."""

import errno
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(path: Path, size_kib: int) -> Iterator[Path]:
    """Mount a file system of its own, which only root may do."""
    path.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(path)]
    if subprocess.run(["mount", *options], capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here: it needs root")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@contextmanager
def suppress_no_room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


@contextmanager
def filled_disk(folder: Path) -> Iterator[None]:
    """Leave no byte free in the folder's file system, whatever is deleted there, until the block ends."""
    ballast, ended = folder / "ballast", threading.Event()

    def fill() -> None:
        with ballast.open("ab", buffering=0) as file:
            while not ended.is_set():
                # Less and less, down to the last byte.
                for size in (1_048_576, 4096, 1):
                    with suppress_no_room():
                        while file.write(b"\0" * size):
                            pass
                ended.wait(0.002)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        ballast.unlink()
