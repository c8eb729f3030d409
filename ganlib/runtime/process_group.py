"""The processes that torchrun started for one run: `torchrun --standalone --nproc-per-node 2 -m ganvas train …`.

The lead, rank 0, reports, evaluates and writes files. The others follow: they compute their share of each batch
(`ganlib.runtime.batch_sharding`) and say nothing. Whoever is asked to stop, all stop after the same iteration.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from ganlib.errors import DeviceUnavailable, NotDealable, ProcessLost
from ganlib.runtime.batch_sharding import Share, add_up
from ganlib.runtime.device import choose_device
from ganlib.spec.checks import find_share_problem
from ganlib.spec.job import JobSpec

# The lead may train a judge while the others wait for it.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Ranks:
    """A process's place among those of its run; alone, it is the lead of one."""

    rank: int = 0
    count: int = 1

    @property
    def is_lead(self) -> bool:
        """Whether this process reports."""
        return self.rank == 0

    def share_of(self, spec: JobSpec) -> Share | None:
        """Return which items of each batch are this process's, None when it is alone. Raises NotDealable."""
        if self.count == 1:
            return None
        refuse_undealable(spec, self.count)
        return Share(self.rank, self.count, spec.batch_size // self.count)

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any of the processes; all of them must ask."""
        if self.count == 1:
            return flag
        # On the CPU, so that nothing waits for the devices.
        flags = torch.tensor(int(flag))
        add_up(flags)
        return bool(flags)

    def tell(self, text: str = "") -> str:
        """Return the lead's text to every process; all of them must call it."""
        if self.count == 1:
            return text
        message = [text]
        try:
            dist.broadcast_object_list(message, src=0)
        except RuntimeError as error:
            raise ProcessLost("The run's first process has ended; its message says why.") from error
        return message[0]


ALONE = Ranks()


def is_lead() -> bool:
    """Whether this process is alone or the first of those that torchrun started; needs no joining."""
    return _count() == 1 or os.environ.get("RANK") == "0"


@contextmanager
def joined_ranks(wanted_device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started, if it did; within another `with` of this, the same ones.

    wanted_device: `auto`, `cpu` or `cuda`; on CUDA each process takes a GPU of its own. Raises DeviceUnavailable
    where there are not as many.
    """
    count = _count()
    if count == 1 or dist.is_initialized():
        yield ALONE if count == 1 else Ranks(dist.get_rank(), count)
        return
    if choose_device(wanted_device).type == "cuda":
        _take_own_gpu(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=_PATIENCE)
    else:
        dist.init_process_group("gloo", timeout=_PATIENCE)
    yield Ranks(dist.get_rank(), count)
    # Not after an error: the others may be waiting for this process, and leaving would wait for them.
    dist.destroy_process_group()


def refuse_undealable(spec: JobSpec, count: int) -> None:
    """Raise NotDealable where the spec's batches cannot be computed in equal shares with the same result."""
    problem = find_share_problem(spec, count)
    if problem is not None:
        field, message = problem
        raise NotDealable(f"{field}: {message}")


def _take_own_gpu(local_rank: int) -> None:
    if local_rank >= torch.cuda.device_count():
        raise DeviceUnavailable(
            f"torchrun started more processes than the {torch.cuda.device_count()} GPUs here; "
            "lower --nproc-per-node, or set device: cpu."
        )
    torch.cuda.set_device(local_rank)


def _count() -> int:
    """Return how many processes torchrun started for this run; other programs' WORLD_SIZE is not ours."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
