"""What to do about a run's findings: the advice of their rules that its spec can take."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from api.events.findings.schemas import AdviceRead, FindingAdvised, FindingRead
from ganlib.errors import SpecInvalid
from ganlib.evaluation.diagnosis.advice import advise
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.spec.documents.differences import say_changes
from ganlib.spec.files import apply_overrides
from ganlib.spec.parse import parse_spec


def add_advice(findings: Sequence[FindingRead], spec: Mapping[str, Any] | None) -> list[FindingAdvised]:
    """Return the findings of a run with this spec, each with what to do about it; without a spec, nothing is."""
    rules = set() if spec is None else {finding.rule for finding in findings}
    advice = {rule: list_advice(rule, spec or {}) for rule in rules}
    return [FindingAdvised(**dict(finding), advice=advice.get(finding.rule, [])) for finding in findings]


def list_advice(rule_name: str, spec: Mapping[str, Any]) -> list[AdviceRead]:
    """Return what to do about a fault of a run with this spec, the most promising first."""
    rule = RULES.get(rule_name)
    if rule is None:
        return []
    return [
        AdviceRead(**vars(advice), words=say_changes(spec, advice.changes))
        for advice in advise(rule.remedies, spec)
        if is_possible(spec, advice.changes)
    ]


def is_possible(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Return whether the changed spec is valid; one that this version refuses anyway can take any change."""
    settings = [f"{path}={json.dumps(value)}" for path, value in changes.items()]
    return _is_valid(spec, settings) or not _is_valid(spec, [])


def _is_valid(spec: Mapping[str, Any], settings: list[str]) -> bool:
    try:
        parse_spec(apply_overrides(dict(spec), settings))
    except SpecInvalid:
        return False
    return True
