"""The form of a rule: its name, threshold and window, what it says, and the advice it has."""

from collections.abc import Callable
from dataclasses import dataclass

from ganlib.evaluation.diagnosis.advice import Remedy
from ganlib.evaluation.diagnosis.history import History
from ganlib.events import Severity


@dataclass(frozen=True)
class Evidence:
    """What shows a fault at the newest point: a line for a person (`Collapsed: 64 cells, 1 kind`), and signals."""

    text: str
    values: dict[str, float]


@dataclass(frozen=True)
class Rule:
    """Looks for one fault in the signals so far.

    name: as events and specs have it. title: for people. meaning: what the fault is, a sentence. threshold: what
    the rule compares with, in words. window: so many measurements in a row must show the fault before it is
    found, and as many must not before it has ended. look: returns the evidence at the newest point, None without.
    """

    name: str
    title: str
    severity: Severity
    meaning: str
    threshold: str
    window: int
    look: Callable[[History], Evidence | None]
    remedies: tuple[Remedy, ...] = ()
