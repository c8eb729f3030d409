"""The attempts of a run in its folder: each process that went on with it, with events of its own."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AttemptPart:
    """The events of one attempt: from number `first_seq` to before `end_seq`, which the newest one has not.

    opening: the body of POST /runs. ended: how it ended, where that is known.
    """

    opening: dict[str, Any]
    first_seq: int = 0
    end_seq: int | None = None
    ended: dict[str, Any] | None = None

    @property
    def number(self) -> int:
        """Its number, from 1."""
        return int(self.opening.get("attempt", 1))

    def drops(self, seq: int, iteration: int) -> bool:
        """Say whether this attempt goes on before what an earlier one recorded in this event."""
        resume_at = self.opening.get("resume_at")
        return seq < self.first_seq and resume_at is not None and iteration > resume_at


def split_attempts(header: dict[str, Any]) -> list[AttemptPart]:
    """Return the attempts that a folder's header tells of, the first one first."""
    common = {name: value for name, value in header.items() if name not in ("earlier", "first_seq")}
    parts: list[AttemptPart] = []
    end_seq = None
    for row in reversed([*header.get("earlier", ()), {"first_seq": header.get("first_seq", 0)}]):
        own = {name: value for name, value in row.items() if name not in ("first_seq", "ended")}
        parts.append(AttemptPart({**common, **own}, row["first_seq"], end_seq, row.get("ended")))
        end_seq = row["first_seq"]
    return parts[::-1]


def add_attempt(
    header: dict[str, Any], own: dict[str, Any], next_seq: int, ended: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the header with a next attempt, which writes from this event on; one that wrote nothing is replaced.

    own: what of the opening is the attempt's own, such as `writer` and `resume_at`. ended: how the one before did.
    """
    last = split_attempts(header)[-1]
    common = {name: value for name, value in header.items() if name != "provenance"}
    if last.first_seq == next_seq:
        return {**common, **own}
    before = {name: header[name] for name in (*own, "provenance") if name in header}
    row = {**before, "attempt": last.number, "first_seq": last.first_seq, "ended": ended}
    earlier = [*header.get("earlier", ()), row]
    return {**common, **own, "earlier": earlier, "attempt": last.number + 1, "first_seq": next_seq}
