"""The findings of one run: rules are asked at each point, and what they say is opened, followed and closed."""

from dataclasses import asdict, dataclass, field
from typing import Any

from ganlib.evaluation.diagnosis.history import History, Point
from ganlib.evaluation.diagnosis.rule import Evidence, Rule
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.events import FindingReported


@dataclass
class _Case:
    """One rule's state: how often in a row it has seen the fault or not, and since when.

    first_seen: the first iteration of the row, which shows the fault, or, after it was found, does not.
    since: the finding's first iteration, None while there is none. text, values: the evidence as last reported.
    """

    row: int = 0
    first_seen: int = 0
    since: int | None = None
    text: str = ""
    values: dict[str, float] = field(default_factory=dict)


class Casebook:
    """Asks all rules at each point; the same points give the same findings."""

    def __init__(self, iterations: int, facts: dict[str, Any], rules: dict[str, Rule] | None = None) -> None:
        self.history = History(iterations, facts=facts)
        self._rules = RULES if rules is None else rules
        self._cases = {name: _Case() for name in self._rules}

    def add(self, point: Point) -> list[FindingReported]:
        """Take the newest point in and return what has changed: findings that began, changed or ended."""
        self.history.add(point)
        changes = (self._ask(rule, self._cases[name], point.iteration) for name, rule in self._rules.items())
        return [change for change in changes if change is not None]

    def close(self, iteration: int) -> list[FindingReported]:
        """End all findings, because the run went back to before them, and return them as ended."""
        ended = [
            self._report(self._rules[name], case, iteration, ended=iteration)
            for name, case in self._cases.items()
            if case.since is not None
        ]
        self._cases = {name: _Case() for name in self._rules}
        self.history.points.clear()
        return ended

    def lasting(self) -> dict[str, int]:
        """Return the rules whose findings last, each with its first iteration."""
        return {name: case.since for name, case in self._cases.items() if case.since is not None}

    def state(self) -> dict[str, Any]:
        """Return what is remembered, as JSON can hold it."""
        history = self.history
        return {
            "points": [[point.iteration, point.values] for point in history.points],
            "point_count": history.point_count,
            "lowest": history.lowest,
            "highest": history.highest,
            "cases": {name: asdict(case) for name, case in self._cases.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave; rules that it does not know begin anew."""
        self.history.points = [Point(iteration, values) for iteration, values in state["points"]]
        self.history.point_count = state["point_count"]
        self.history.lowest, self.history.highest = state["lowest"], state["highest"]
        self._cases |= {name: _Case(**case) for name, case in state["cases"].items() if name in self._cases}

    def _ask(self, rule: Rule, case: _Case, iteration: int) -> FindingReported | None:
        evidence = rule.look(self.history)
        if (evidence is not None) == (case.since is not None):
            case.row = 0
            return self._follow(rule, case, iteration, evidence) if evidence else None
        case.row += 1
        if case.row == 1:
            case.first_seen = iteration
        if case.row < rule.window:
            return None
        case.row = 0
        if evidence is not None:
            case.since, case.text, case.values = case.first_seen, evidence.text, evidence.values
            return self._report(rule, case, iteration)
        ended = self._report(rule, case, iteration, ended=case.first_seen)
        case.since = None
        return ended

    def _follow(self, rule: Rule, case: _Case, iteration: int, evidence: Evidence) -> FindingReported | None:
        """Report a finding again where its line for people has changed."""
        if evidence.text == case.text:
            return None
        case.text, case.values = evidence.text, evidence.values
        return self._report(rule, case, iteration)

    def _report(self, rule: Rule, case: _Case, iteration: int, ended: int | None = None) -> FindingReported:
        return FindingReported(
            iteration=iteration,
            rule=rule.name,
            since=case.first_seen if case.since is None else case.since,
            ended=ended,
            severity=rule.severity,
            text=case.text,
            evidence=case.values,
        )
