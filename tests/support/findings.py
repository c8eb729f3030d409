"""Findings as a trainer reports them, for tests of what is made of them."""

from typing import Any

from ganlib.events import FindingReported, MetricsLogged

COLLAPSED = "Collapsed: 64 cells, 1 kind"


def make_finding(iteration: int, since: int | None = None, **changes: Any) -> FindingReported:
    """A collapse that is found at an iteration and was there since an earlier one."""
    fields: dict[str, Any] = {
        "rule": "mode_collapse",
        "severity": "serious",
        "text": COLLAPSED,
        "evidence": {"signals/kinds": 1.0, "signals/diversity": 0.01},
    }
    return FindingReported(iteration=iteration, since=iteration if since is None else since, **fields | changes)


def make_signals(iteration: int) -> MetricsLogged:
    return MetricsLogged(iteration=iteration, values={"signals/kinds": 60.0, "loss/generator": 1.0})
