"""The verdict on a run: one line of its findings, the same everywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ganlib.errors import TrainingDiverged
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.events import Severity

Tone = Literal["unknown", "good", "note", "warning", "serious"]
SEVERITY_RANKS: dict[str, int] = {"note": 0, "warning": 1, "serious": 2}
# A finding that is as bad is still told of when it is but just over.
ALARMS = ("warning", "serious")


class Finding(Protocol):
    """What a verdict needs of a finding; events and stored findings have it."""

    @property
    def rule(self) -> str:
        """The rule's name."""

    @property
    def since(self) -> int:
        """The first iteration that showed the fault."""

    @property
    def ended(self) -> int | None:
        """The first iteration that no longer did; None while it lasts."""

    @property
    def severity(self) -> Severity:
        """How bad it is."""

    @property
    def text(self) -> str:
        """The fault in one line, without its iterations."""


@dataclass(frozen=True)
class Verdict:
    """One line on a run.

    tone: the severity of what is wrong, `good` or `unknown`. rule, since: of the finding that it names; empty and
    None without one.
    """

    text: str
    tone: Tone
    rule: str = ""
    since: int | None = None


@dataclass(frozen=True)
class Standing:
    """How far a run has come. has_ended: no more is to come. failure: the code of why it failed, None if not."""

    iteration: int = 0
    has_ended: bool = True
    failure: str | None = None


def judge(
    findings: Sequence[Finding],
    examined_at: int | None,
    standing: Standing | None = None,
    lasted: Mapping[str, int] | None = None,
) -> Verdict:
    """Return the verdict on a run: its worst finding that lasts, the most telling of equally bad ones.

    A failed run is never called good: without a finding that lasts, the verdict says that it diverged, or that it
    failed. A warning or worse that is over, but has not been gone for as long as it lasted, is still a warning: a
    run that collapsed until just before its end is not good. examined_at: the iteration of the newest signals;
    None where there are none. lasted: the iterations that the alarms of a rule lasted that are over, by its name;
    None where `findings` has all of them.
    """
    standing = standing or Standing()
    lasting = [finding for finding in findings if finding.ended is None]
    if lasting:
        worst = min(lasting, key=_rank)
        return Verdict(describe(worst), worst.severity, worst.rule, worst.since)
    if standing.failure == TrainingDiverged.code:
        return Verdict(
            f"Diverged at iteration {standing.iteration:,}: losses or weights are not finite", "serious"
        )
    if examined_at is None:
        return Verdict(_say_unexamined(standing), "unknown")
    ended = max(findings, key=_end, default=None)
    if standing.failure is not None:
        return Verdict(f"Failed; no fault of the training up to iteration {examined_at:,}", "unknown")
    recent = _find_recent(findings, examined_at, lasted)
    if recent is not None:
        return Verdict(f"Just over; {describe(recent)}", "warning", recent.rule, recent.since)
    if ended is not None:
        return Verdict(f"No fault now; {describe(ended)}", "good", ended.rule, ended.since)
    return Verdict(f"No fault found up to iteration {examined_at:,}", "good")


def _sum_lasted(findings: Sequence[Finding]) -> dict[str, int]:
    lasted: dict[str, int] = {}
    for finding in findings:
        lasted[finding.rule] = lasted.get(finding.rule, 0) + _end(finding) - finding.since
    return lasted


def _find_recent(
    findings: Sequence[Finding], examined_at: int, lasted: Mapping[str, int] | None
) -> Finding | None:
    """Return the worst alarm that has been gone for fewer iterations than its rule's lasted in all."""
    alarms = [finding for finding in findings if finding.severity in ALARMS]
    lasted = _sum_lasted(alarms) if lasted is None else lasted
    newest = {alarm.rule: alarm for alarm in sorted(alarms, key=lambda alarm: (_end(alarm), alarm.since))}
    recent = [alarm for alarm in newest.values() if examined_at - _end(alarm) < lasted[alarm.rule]]
    return min(recent, key=_rank, default=None)


def _end(finding: Finding) -> int:
    return finding.ended or 0


def _rank(finding: Finding) -> tuple[int, int, int]:
    """Sort the worst first; of equally bad ones that which tells the most, as the rules are listed."""
    names = list(RULES)
    place = names.index(finding.rule) if finding.rule in names else len(names)
    return -SEVERITY_RANKS[finding.severity], place, finding.since


def _say_unexamined(standing: Standing) -> str:
    if standing.failure is not None:
        return "Failed before it was examined"
    return (
        "Not examined: this run logs no signals" if standing.has_ended else "Not examined yet: no signals so far"
    )


def describe(finding: Finding) -> str:
    """Return a finding with its iterations: `Collapsed since iteration 1,200: 64 cells, 1 kind`."""
    what, colon, evidence = finding.text.partition(": ")
    when = (
        f"since iteration {finding.since:,}"
        if finding.ended is None
        else f"from iteration {finding.since:,} to {finding.ended:,}"
    )
    return f"{what} {when}{colon}{evidence}"
