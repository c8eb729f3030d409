"""Failures of the machine and not of the code: memory that ran out, and a full disk (no torch here)."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ganlib.errors import DiskFull, OutOfMemory
from ganlib.runtime.files import is_disk_full

# Torch has an exception for a graphics card alone. On a CPU its allocator, oneDNN and the C++ library raise a
# RuntimeError, and CUDA's libraries have texts of their own.
_MEMORY_TEXTS = re.compile(
    r"DefaultCPUAllocator|can't allocate memory|cannot allocate memory|not enough memory|out of memory|bad_alloc|"
    r"ALLOC_FAILED|could not create a memory|ArrayMemoryError|insufficient memory",
    re.IGNORECASE,
)
_BYTES = re.compile(r"allocate (\d+) bytes")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory, of the machine or of a graphics card, ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and _MEMORY_TEXTS.search(str(error)) is not None


@contextmanager
def said_plainly() -> Iterator[None]:
    """Raise OutOfMemory and DiskFull, which say what to do, in the place of what torch and the system raise."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(_describe_memory(error)) from error
        if is_disk_full(error):
            raise DiskFull(
                "The disk is full. Free some space and start the run again: it goes on from its newest checkpoint."
            ) from error
        raise


def _describe_memory(error: Exception) -> str:
    found = _BYTES.search(str(error))
    asked = f" ({int(found[1]):,} bytes were asked for)" if found else ""
    return (
        f"Memory ran out{asked}; a smaller batch_size, smaller networks, or fewer samples of an evaluation need "
        "less."
    )
