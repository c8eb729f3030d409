"""What must become of one job: a few lines that know nothing of SQL, beside the queries that they judge."""

from dataclasses import dataclass, field

from api.errors import AttemptFenced, SequenceConflict
from api.events.parsing import PostedEvent

BUDGET = 2


class Broken(AssertionError):
    """An invariant does not hold; the message has the seed and what happened before."""


@dataclass
class Worker:
    """A worker that holds an attempt, or thinks so; 0 for none."""

    name: int
    attempt: int = 0
    events: list[PostedEvent] = field(default_factory=list)
    iteration: int = 0
    acknowledged: int = 0
    end: str | None = None

    def begin(self, attempt: int, iteration: int) -> None:
        """Take up an attempt that goes on from a checkpoint."""
        self.attempt, self.iteration, self.events, self.acknowledged, self.end = attempt, iteration, [], 0, None

    def stop(self) -> None:
        """Hold nothing any more."""
        self.begin(0, 0)


@dataclass
class Model:
    """What is known of the job; `heard_at`: when its live attempt gave its last sign of life."""

    state: str = "queued"
    attempt: int = 0
    used: int = 0
    is_cancelled: bool = False
    resumed_from: int = 0
    heard_at: float = 0.0
    stored: dict[int, list[PostedEvent]] = field(default_factory=dict)
    points: dict[int, float] = field(default_factory=dict)
    checkpoints: set[int] = field(default_factory=set)

    def is_live(self, attempt: int) -> bool:
        """Return whether this attempt holds the job."""
        return self.state == "running" and self.attempt == attempt

    def claim(self, now: float) -> None:
        """A worker claims the job: what was recorded after the newest checkpoint is gone."""
        self.attempt += 1
        self.state, self.heard_at, self.stored[self.attempt] = "running", now, []
        self.resumed_from = max(self.checkpoints, default=0)
        self.points = {key: value for key, value in self.points.items() if key <= self.resumed_from}

    def judge_post(self, attempt: int, batch: list[PostedEvent]) -> type[Exception] | None:
        """Return what a post must meet; None where it must be taken."""
        if not self.is_live(attempt):
            return AttemptFenced
        stored = self.stored[attempt]
        if batch[0].seq > len(stored):
            return SequenceConflict
        known = stored[batch[0].seq : batch[-1].seq + 1]
        return None if known == batch[: len(known)] else SequenceConflict

    def store(self, attempt: int, batch: list[PostedEvent], now: float) -> None:
        """A post was taken: what came before is not stored again."""
        self.heard_at = now
        stored = self.stored[attempt]
        for item in batch[len(stored) - batch[0].seq :]:
            stored.append(item)
            if hasattr(item.event, "file"):
                self.checkpoints.add(item.event.iteration)
            else:
                self.points[item.event.iteration] = item.event.values["loss/generator"]

    def end_attempt(self, end: str) -> None:
        """The live attempt ends; one that reached a new checkpoint costs nothing."""
        own = [item.event.iteration for item in self.stored[self.attempt] if hasattr(item.event, "file")]
        has_headway = any(iteration > self.resumed_from for iteration in own)
        if end == "succeeded":
            self.state = "succeeded"
        elif self.is_cancelled:
            self.state = "cancelled"
        else:
            self.used += int(end != "preempted" and not has_headway)
            self.state = "failed" if end != "preempted" and not has_headway and self.used >= BUDGET else "queued"

    def cancel(self) -> None:
        """A person cancels the job."""
        self.is_cancelled = True
        self.state = "cancelled" if self.state == "queued" else self.state
