"""Sums up recorded runs: planted faults that were found, by which name, and alarms about healthy runs."""

import json
from collections import defaultdict
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any

from bench.diagnosis.faults import ALSO_RIGHT, FAULTS
from bench.diagnosis.record import RESULT
from ganlib.evaluation.diagnosis.verdict import judge
from ganlib.events import FindingReported

_ALARMS = ("warning", "serious")


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    z, share = 1.96, count / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    reach = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def say(count: int, of: int) -> str:
    """Return a count with its share and interval."""
    low, high = wilson(count, of)
    return f"{count} of {of} ({count / of:.0%}, {low:.0%} to {high:.0%})"


def read_results(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the result of each recorded run."""
    for path in sorted(folder.glob(f"*/{RESULT}")):
        yield path.parent.name, json.loads(path.read_text())


def findings_of(result: dict[str, Any]) -> list[FindingReported]:
    """Return the newest report of each finding."""
    reports = [FindingReported.model_validate(each) for each in result["findings"]]
    return list({(report.rule, report.since): report for report in reports}.values())


def summarise(folder: Path) -> str:
    """Return the tables of docs/explanation/diagnosis.md."""
    found: dict[str, int] = defaultdict(int)
    named: dict[str, int] = defaultdict(int)
    among: dict[str, int] = defaultdict(int)
    runs: dict[str, int] = defaultdict(int)
    others, alarms = [], []
    for name, result in read_results(folder):
        kind = name.rpartition("-")[0]
        findings = findings_of(result)
        alarming = {finding.rule for finding in findings if finding.severity in _ALARMS}
        runs[kind] += 1
        if kind == "healthy":
            if alarming:
                alarms.append(f"{name}: {', '.join(sorted(alarming))}")
            continue
        newest = result["points"][-1][0] if result["points"] else None
        verdict = judge(findings, newest)
        right = {kind} | ALSO_RIGHT.get(kind, set())
        found[kind] += verdict.tone in _ALARMS
        named[kind] += verdict.rule in right and verdict.tone in _ALARMS
        among[kind] += bool(alarming & right)
        if verdict.tone not in _ALARMS or verdict.rule not in right:
            others.append(f"{name}: {verdict.text}")
    lines = [
        "| planted | runs | found | by its right name | right name among the findings |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {kind} | {runs[kind]} | {found[kind]} | {named[kind]} | {among[kind]} |"
        for kind in FAULTS
        if runs[kind]
    ]
    planted = sum(runs[kind] for kind in FAULTS)
    lines += [
        f"| all | {planted} | {say(sum(found.values()), planted)} | {say(sum(named.values()), planted)} "
        f"| {say(sum(among.values()), planted)} |",
        "",
        f"False alarms: {say(len(alarms), runs['healthy'])} healthy runs." if runs["healthy"] else "",
        *(f"- {alarm}" for alarm in alarms),
        "",
        "Not found, or by another name:",
        *(f"- {other}" for other in others),
    ]  # fmt: skip
    return "\n".join(lines)
