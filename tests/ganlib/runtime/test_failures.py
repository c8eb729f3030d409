"""Memory that ran out and full disks, in sentences."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlib.errors import DiskFull, OutOfMemory
from ganlib.runtime.failures import is_out_of_memory, said_plainly
from ganlib.spec.job import JobSpec
from ganlib.training.recording import run_folder
from ganlib.training.recording.run_folder import run_in_folder

MakeSpec = Callable[..., JobSpec]


def torchs_own_error() -> RuntimeError:
    """What torch raises on a CPU when there is not as much memory as it asks for: 4 EiB."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.float32)
    return caught.value


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torchs_own_error(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), True),
        (RuntimeError("could not create a memory object"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
    ],
)
def test_memory_that_ran_out_is_known_by_torchs_own_words(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory


def test_a_run_for_which_memory_is_too_small_says_so(
    make_spec: MakeSpec, run_training: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def need_too_much(state: Any) -> None:
        torch.empty(2**60, dtype=torch.float32)

    monkeypatch.setattr("ganlib.trainer.train_step", need_too_much)
    with pytest.raises(OutOfMemory, match=r"4,611,686,018,427,387,904 bytes were asked for.*smaller batch_size"):
        run_training(make_spec())


@pytest.mark.parametrize("place", ["write_png", "write_checkpoint", "write_latents"])
def test_a_disk_that_is_full_ends_a_run_with_a_sentence(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"ganlib.training.recording.run_reporter.{place}", fail)
    with pytest.raises(DiskFull, match=r"room|space"):
        run_in_folder(make_spec(), tmp_path / "run", lambda _: None, lambda: False)


def test_so_does_one_without_room_for_the_folders_own_files(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(run_folder, "_write_text", fail)
    with pytest.raises(DiskFull, match="goes on from its newest checkpoint"):
        run_in_folder(make_spec(), tmp_path / "run", lambda _: None, lambda: False)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), said_plainly():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
