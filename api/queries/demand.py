"""How many workers would have something to do, and of which kind: what scales them looks here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from api.models import Job
from api.queries.reaping import is_claimable

# Whether a job needs a graphics card, bars it, or takes what comes.
Needs = Literal["gpu", "cpu", "any"]
NEEDS: tuple[Needs, ...] = get_args(Needs)


@dataclass(frozen=True)
class Demand:
    """Jobs of one kind: those that can be claimed now, and those that run.

    commit: the digits that they are pinned to, empty where any commit will do.
    """

    needs: Needs
    commit: str
    waiting: int
    running: int

    @property
    def wanted(self) -> int:
        """How many workers would have something to do."""
        return self.waiting + self.running


def list_demand(session: Session) -> list[Demand]:
    """Count waiting and running jobs by what they need and by the commit that they are pinned to."""
    needs_gpu = or_(Job.device == "cuda", Job.gpus > 0, Job.gpu_memory > 0)
    needs = case((needs_gpu, "gpu"), (Job.device == "cpu", "cpu"), else_="any").label("needs")
    waiting = func.count().filter(Job.state == "queued").label("waiting")
    running = func.count().filter(Job.state == "running").label("running")
    counts = select(needs, Job.pinned_commit, waiting, running).where(or_(is_claimable(), Job.state == "running"))
    rows = session.execute(counts.group_by(needs, Job.pinned_commit).order_by(Job.pinned_commit, needs))
    return [Demand(row.needs, row.pinned_commit, row.waiting, row.running) for row in rows]


def choose_demand(demand: Sequence[Demand], commit: str | None) -> list[Demand]:
    """Keep the jobs that are pinned to this commit, `none`: those that are not pinned, None: all of them."""
    if commit is None:
        return list(demand)
    if commit == "none":
        return [part for part in demand if not part.commit]
    return [part for part in demand if part.commit and _name_the_same(part.commit, commit)]


def _name_the_same(one: str, other: str) -> bool:
    """Whether two commits, each perhaps shortened, can be the same."""
    return one.startswith(other) or other.startswith(one)
