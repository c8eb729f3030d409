"""The processes that torchrun started for one run: `torchrun --standalone --nproc-per-node 2 -m ganvas train …`.

The lead, rank 0, reports, evaluates and writes files. The others follow: they only compute their shard of each
batch (`ganlib.runtime.batch_sharding`). If one is asked to stop, all stop after the same iteration.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from ganlib.errors import DeviceUnavailable, ProcessLost
from ganlib.runtime.batch_sharding import BatchShard, sum_over_processes
from ganlib.runtime.device import choose_device

# The lead may train an evaluation classifier while the others wait for it.
_TIMEOUT = timedelta(hours=2)


@dataclass(frozen=True)
class ProcessGroup:
    """A run's processes, and the rank of this one; alone, it is the lead of one."""

    rank: int = 0
    count: int = 1

    @property
    def is_lead(self) -> bool:
        """Whether this process reports."""
        return self.rank == 0

    def shard_of(self, batch_size: int) -> BatchShard | None:
        """Return this process's part of each batch, None when it is alone."""
        return None if self.count == 1 else BatchShard(self.rank, self.count, batch_size // self.count)

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any of the processes; all of them must call it."""
        if self.count == 1:
            return flag
        # On the CPU, so that nothing waits for the devices.
        flags = torch.tensor(int(flag))
        sum_over_processes(flags)
        return bool(flags)

    def broadcast(self, text: str = "") -> str:
        """Return the lead's text to every process; all of them must call it."""
        if self.count == 1:
            return text
        message = [text]
        try:
            dist.broadcast_object_list(message, src=0)
        except RuntimeError as error:
            raise ProcessLost("The run's first process has ended; its message says why.") from error
        return message[0]


SINGLE_PROCESS = ProcessGroup()


def is_lead() -> bool:
    """Return whether this process is alone or the first of torchrun's, without joining the group."""
    return _process_count() == 1 or os.environ.get("RANK") == "0"


@contextmanager
def join_process_group(requested_device: str) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started, if it did; a nested `with` yields the same group.

    requested_device: `auto`, `cpu` or `cuda`; on CUDA each process takes a GPU of its own. Raises
    DeviceUnavailable where there are not as many.
    """
    count = _process_count()
    if count == 1 or dist.is_initialized():
        yield SINGLE_PROCESS if count == 1 else ProcessGroup(dist.get_rank(), count)
        return
    if choose_device(requested_device).type == "cuda":
        _take_own_gpu(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=_TIMEOUT)
    else:
        dist.init_process_group("gloo", timeout=_TIMEOUT)
    yield ProcessGroup(dist.get_rank(), count)
    # Not after an error: the others may be waiting for this process, and leaving would wait for them.
    dist.destroy_process_group()


def _take_own_gpu(local_rank: int) -> None:
    if local_rank >= torch.cuda.device_count():
        raise DeviceUnavailable(
            f"torchrun started more processes than the {torch.cuda.device_count()} GPUs here; "
            "lower --nproc-per-node, or set device: cpu."
        )
    torch.cuda.set_device(local_rank)


def _process_count() -> int:
    """Return how many processes torchrun started for this run; other programs' WORLD_SIZE is not ours."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
