"""Decides which leases have ended: by how long this process has listened in vain, never by a clock of the day.

A heartbeat, a post or a claim writes a new lease into the job's row, through whichever replica it comes. Each
reaper sees that the row has changed, and counts by its own monotonic clock for how long it has not. Clocks that
jump, the database's included, change neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

# Attempts that were last heard within this part of a lease fell silent together.
TOGETHER = 0.5


@dataclass(frozen=True)
class HeldLease:
    """A running job and its lease as written by the last sign of life of its worker."""

    job_id: str
    attempt: int
    lease_ends_at: datetime | None
    is_cancelled: bool = False


@dataclass
class _Watched:
    lease: HeldLease
    silent_seconds: float = 0.0
    # All attempts had fallen silent at once, and this one got a second lease.
    was_spared: bool = False


class LeaseWatch:
    """Measures for how long each running attempt has been silent while this process listened."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._watched: dict[str, _Watched] = {}

    def forget(self) -> None:
        """Begin anew: this process could not listen, so nobody was silent."""
        self._watched.clear()

    def observe(self, leases: Sequence[HeldLease], listened_seconds: float) -> None:
        """Compare all running attempts with the last look; this process has listened for so long since."""
        seen: dict[str, _Watched] = {}
        for lease in leases:
            known = self._watched.get(lease.job_id)
            if known is None or _differ(known.lease, lease):
                known = _Watched(lease)
            else:
                known.silent_seconds += listened_seconds
                known.lease = lease
            seen[lease.job_id] = known
        self._watched = seen

    @property
    def longest_silence(self) -> float:
        """The seconds of the attempt that has been silent for longest; 0 where none runs."""
        return max((watched.silent_seconds for watched in self._watched.values()), default=0.0)

    def list_ended(self) -> list[HeldLease]:
        """Return the attempts whose lease has ended, those that were silent for longest first."""
        ended = [each for each in self._watched.values() if each.silent_seconds >= self._lease_seconds]
        return [each.lease for each in sorted(ended, key=lambda each: -each.silent_seconds)]

    def spare_if_all(self) -> int:
        """Give every attempt a second lease if all of several fell silent together; return how many.

        Then the fault is more likely on this side. Attempts whose job is to be cancelled are not spared: nothing
        is lost with them.
        """
        running = [each for each in self._watched.values() if not each.lease.is_cancelled]
        silences = [each.silent_seconds for each in running]
        if len(running) < 2 or any(each.was_spared for each in running):
            return 0
        shortest, longest = min(silences), max(silences)
        is_together = longest - shortest <= TOGETHER * self._lease_seconds
        if longest < self._lease_seconds or not is_together:
            return 0
        for each in running:
            each.silent_seconds, each.was_spared = 0.0, True
        return len(running)


def _differ(one: HeldLease, other: HeldLease) -> bool:
    return (one.attempt, one.lease_ends_at) != (other.attempt, other.lease_ends_at)
