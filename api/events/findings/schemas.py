"""Schemas of findings: what a rule found, what to do about it, and the verdict on a run."""

from datetime import datetime
from typing import Any, Literal

from pydantic import JsonValue

from api.server.http.schemas import Schema
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.evaluation.diagnosis.verdict import Tone
from ganlib.events import Action, MetricValue, Severity

# What a list of runs can be filtered by.
VerdictTone = Literal["serious", "warning", "note", "good", "unknown"]
# A job in full and its page show no more of its findings; the list of all findings has pages.
MOST_OF_A_JOB = 100


class VerdictRead(Schema):
    """The verdict on a run in one line, the same everywhere.

    `tone`: how bad it is, `good`, or `unknown` where nobody looked. `rule` and `since` name the finding that the
    line is about; empty and null where it is about none.
    """

    text: str = "Not examined"
    tone: Tone = "unknown"
    rule: str = ""
    since: int | None = None


class FindingFacts(Schema):
    """What a report says of a fault: all that a line of text needs."""

    rule: str
    severity: Severity
    text: str
    since: int
    ended: int | None = None
    iteration: int


class FindingRead(FindingFacts):
    """A fault that a rule found in a run, as it was last reported; a rule and `since` name it.

    `title`, `meaning`: of the rule, for people; of a rule that this version does not know, its name in words and
    nothing. `description`: `text` with its iterations. `iteration`: the newest report's. `since`: the first one
    whose signals showed it. `ended`: the first one whose signals no longer did, null while it lasts.
    `evidence`: the signals that it was judged by. `action`: what the spec says is done; after a rollback,
    `rolled_back_to` and `changes` say where the run went on and with which fields changed.
    """

    title: str
    meaning: str
    description: str
    attempt: int
    evidence: dict[str, MetricValue] = {}
    action: Action | None = None
    rolled_back_to: int | None = None
    changes: dict[str, JsonValue] = {}
    created_at: datetime
    updated_at: datetime


class FindingListed(FindingRead):
    """A finding in the list of all runs' findings. `url`: the page of its run."""

    job_id: str
    job_name: str
    url: str


class AdviceRead(Schema):
    """One thing to try. `changes`: fields of the spec by their path and their new values.

    `words`: what they change in this run's spec: `generator.layers[12]: sigmoid → tanh`.
    """

    title: str
    text: str
    source: str
    changes: dict[str, Any]
    words: list[str] = []


class FindingAdvised(FindingRead):
    """A finding of one run, with what to do about it in this run's spec, the most promising first."""

    advice: list[AdviceRead] = []


def rule_title(name: str) -> str:
    """Return a rule's title for people; of an unknown one, its name in words: `Learning rate too high`."""
    rule = RULES.get(name)
    return rule.title if rule else name.replace("_", " ").strip().capitalize() or name


def rule_meaning(name: str) -> str:
    """Return what a fault is, in a sentence; nothing for an unknown rule."""
    rule = RULES.get(name)
    return rule.meaning if rule else ""
