"""What an import reads, whatever it comes from: the facts of a run, and its records one after another."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ganlib.errors import GanlibError
from ganlib.events import Histogram

Origin = Literal["tensorboard", "wandb", "trackio", "mlflow"]
End = Literal["succeeded", "failed", "cancelled"]


class SourceUnreadable(GanlibError):
    """Nothing can be imported from a path or address; the message says why and what to do."""

    code = "source_unreadable"


@dataclass(frozen=True, slots=True)
class Points:
    """Values of one step, by metric name, as they were logged together. at: seconds since 1970, or None."""

    step: int
    values: dict[str, float]
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Pictures:
    """Encoded pictures that were logged together under one tag at one step; several of them become one grid.

    columns: of the grid; None leaves it to the import.
    """

    tag: str
    step: int
    images: tuple[bytes, ...]
    at: float | None = None
    columns: int | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """One histogram."""

    name: str
    step: int
    histogram: Histogram
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A text."""

    step: int
    text: str
    at: float | None = None
    level: Literal["info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Any other file of the run, under its relative name."""

    name: str
    step: int
    content: bytes | Path
    media_type: str = "application/octet-stream"
    at: float | None = None


Record = Points | Pictures | Distribution | Line | Attachment


class Losses:
    """What could not be imported: how many of what, with the first place of each."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, what: str, where: str, count: int = 1) -> None:
        """Count something that is left out. what: in words, in the plural. where: a file, tag or step."""
        self._counts[what] += count
        self._first.setdefault(what, where)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def sentences(self) -> list[str]:
        """Return one line for each kind of loss."""
        return [
            f"{what}: {count:,} ({'first ' if count > 1 else ''}{self._first[what]})"
            for what, count in self._counts.items()
        ]


@dataclass
class SourceRun:
    """One run of a source. `read` may be called once; it notes in `losses` what it cannot read.

    identity: what makes the run itself, wherever its files lie. image_tags: in the order in which they first come.
    """

    origin: Origin
    identity: bytes
    name: str
    source: str
    read: Callable[[Losses], Iterator[Record]]
    config: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    note: str = ""
    image_tags: list[str] = field(default_factory=list)
    started_at: float | None = None
    ended_at: float | None = None
    # None: the source says that the run is not over.
    end: End | None = "succeeded"
    reason: str = ""
    iterations: int | None = None
    writer: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
