"""The search language of the list of jobs.

    digits tag:sweep state:failed verdict:serious commit:ab12 recipe:winkler losses.generator=wasserstein
    eval/coverage<0.5 finding:mode_collapse from:ID config.lr=0.1 "val loss"<2 origin:own

A bare word matches a part of the name or of a tag, or the beginning of an id. A comparison names a field of the
spec, a metric (its newest value), or one of JOB_FIELDS; a metric's name that is not group/name stands in quotes.
`verdict:` is how bad the worst fault is that lasts; `finding:` a fault that was found, also one that has ended.
`origin:` is who writes the run. `from:` with a job's name, or the beginning of its id, finds those made from it.
A leading minus excludes; quotes group words. Every error is a RequestInvalid that says what to write.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from api.errors import RequestInvalid
from api.events.findings.schemas import VerdictTone
from api.server.http.schemas import JobState, Origin
from ganlib.events import METRIC_NAME_PATTERN
from ganlib.spec.documents.suggestions import ask_near, find_near
from ganlib.spec.paths import NoSuchField, Step, resolve_field
from ganlib.vocabulary import GENERATOR_LOSS

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
Key = Literal["name", "tag", "state", "commit", "recipe", "from", "verdict", "finding", "origin"]
KEYS: tuple[Key, ...] = get_args(Key)
_LOWER_KEYS = ("state", "commit", "verdict", "finding", "origin")
# Comparable columns of a job.
JOB_FIELDS = ("iteration", "attempt")
# Words of a job's own that a comparison may name as well: no spec has such a field.
JOB_WORDS: tuple[Key, ...] = ("state", "origin")
ORDERS: tuple[Operator, ...] = ("<", "<=", ">", ">=")
# Spellings of metric values that are not finite.
FLAGS = {"nan": "nan", "inf": "inf", "+inf": "inf", "-inf": "-inf"}
MAX_TERMS = 20

_COMPARISON = re.compile(
    r'(?P<field>[A-Za-z_][A-Za-z0-9_./-]*|"[^"]+")\s*(?P<operator>!=|<=|>=|=|<|>|~)\s*(?P<value>.*)', re.S
)
_TERM = re.compile(
    r"""(?P<minus>-)?(?:
    (?P<field>[A-Za-z_][A-Za-z0-9_./-]*|"[^"]+")\s*(?P<operator>!=|<=|>=|=|<|>|~)\s*(?P<value>"[^"]*"|[^\s"]*)
    |(?P<key>[A-Za-z]+):(?P<of_key>"[^"]*"|[^\s"]*)
    |"(?P<quoted>[^"]*)"
    |(?P<word>[^\s"]+)
    )(?=\s|$)""",
    re.X,
)
_METRIC = re.compile(METRIC_NAME_PATTERN)
_PLAIN_METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*/[A-Za-z0-9_./-]+")
_RULE = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Word:
    """A bare word, or a key and what is value of it: `tag:sweep`."""

    key: Key | None
    value: str
    excluded: bool = False


@dataclass(frozen=True)
class MetricComparison:
    """Comparison of a metric's newest value with a number or one of FLAGS."""

    metric: str
    operator: Operator
    value: float | str
    excluded: bool = False


@dataclass(frozen=True)
class FieldComparison:
    """Comparison of one of JOB_FIELDS, or of `spec` and the path of a field, with a value and its number."""

    steps: tuple[Step, ...]
    operator: Operator
    value: str
    number: float | None
    excluded: bool = False


Term = Word | MetricComparison | FieldComparison


def parse_search(text: str) -> list[Term]:
    """Parse the text of the search box; raises RequestInvalid."""
    terms: list[Term] = []
    rest = text.strip()
    while rest:
        match = _TERM.match(rest)
        if match is None:
            raise _refuse("q", rest, 'a quotation mark is not closed: write "two words"')
        terms.append(_read_term(match))
        rest = rest[match.end() :].lstrip()
    return check_count(terms, "q")


def parse_comparison(text: str, excluded: bool = False, source: str = "where") -> Term:
    """Parse `field operator value`; raises RequestInvalid."""
    match = _COMPARISON.fullmatch(text.strip())
    if match is None:
        raise _refuse(source, text, "write a field, one of = != < <= > >= ~, and a value: losses.generator=hinge")
    field, value = match["field"], _unquote(match["value"].strip())
    operator: Operator = match["operator"]  # type: ignore[assignment]  # the pattern knows no other
    if not value:
        raise _refuse(source, text, f"a value is missing: write {field}{operator}…")
    number = _read_number(value)
    if operator in ORDERS and number is None:
        raise _refuse(source, text, f"{operator} compares numbers; {value[:40]} is not a number")
    if "/" in field or field.startswith('"'):
        return _compare_metric(source, text, field, operator, value, number, excluded)
    if field in JOB_FIELDS:
        return FieldComparison((field,), operator, value, number, excluded)
    if field in JOB_WORDS and operator in ("=", "!="):
        return Word(field, _check_value(field, value, text), excluded != (operator == "!="))
    try:
        return FieldComparison(("spec", *resolve_field(field)), operator, value, number, excluded)
    except NoSuchField as error:
        raise _refuse(source, text, str(error)) from None


def check_count(terms: Sequence[Term], source: str) -> list[Term]:
    """Return the terms; raises RequestInvalid for more than MAX_TERMS."""
    if len(terms) > MAX_TERMS:
        raise _refuse(source, f"{len(terms)} conditions", f"at most {MAX_TERMS} conditions can be combined")
    return list(terms)


def is_metric(name: str) -> bool:
    """Return whether this is how a metric is named beside fields of specs: group/name, or any name in quotes."""
    return ("/" in name or name != read_metric(name)) and _METRIC.fullmatch(read_metric(name)) is not None


def read_metric(name: str) -> str:
    """Return the metric's name without quotes around it."""
    return _unquote(name)


def write_metric(name: str) -> str:
    """Return a metric's name as searches and sorts take it: in quotes, unless it is group/name."""
    return name if _PLAIN_METRIC.fullmatch(name) else f'"{name}"'


def _read_term(match: re.Match[str]) -> Term:
    excluded = bool(match["minus"])
    if match["field"]:
        return parse_comparison(match[0].removeprefix("-"), excluded, "q")
    if match["key"] is None:
        return Word(None, match["quoted"] if match["word"] is None else match["word"], excluded)
    key = next((key for key in KEYS if match["key"].lower() in (key, f"{key}s")), None)
    if key is None:
        near = find_near(match["key"].lower(), KEYS, cutoff=0.75)
        if near:
            advice = f"there is no {match['key']}:, did you mean {near}:? Put it in quotes to search for the text"
            raise _refuse("q", match[0], advice)
        # A tag such as paper:w.
        return Word(None, match[0].removeprefix("-").replace('"', ""), excluded)
    return Word(key, _check_value(key, _unquote(match["of_key"]), match[0]), excluded)


def _check_value(key: Key, value: str, text: str) -> str:
    if not value:
        raise _refuse("q", text, f"a value is missing: write {key}:…")
    states = get_args(JobState)
    if key == "state" and value.lower() not in states:
        meant = ask_near(value, states)
        raise _refuse("q", text, f"there is no state {value[:40]}; the states are {', '.join(states)}{meant}")
    origins = get_args(Origin)
    if key == "origin" and value.lower() not in origins:
        meant = ask_near(value, origins)
        raise _refuse("q", text, f"there is no origin {value[:40]}; the origins are {', '.join(origins)}{meant}")
    tones = get_args(VerdictTone)
    if key == "verdict" and value.lower() not in tones:
        meant = ask_near(value, tones)
        raise _refuse("q", text, f"there is no verdict {value[:40]}; the verdicts are {', '.join(tones)}{meant}")
    if key == "finding" and not _RULE.fullmatch(value.lower()):
        raise _refuse("q", text, f"{value[:40]} is not a rule's name: write finding:mode_collapse")
    if key == "commit" and not re.fullmatch(r"[0-9a-fA-F]{1,40}", value):
        raise _refuse("q", text, f"{value[:40]} is not the beginning of a commit: write up to 40 of 0-9 and a-f")
    return value.lower() if key in _LOWER_KEYS else value


def _compare_metric(
    source: str, text: str, metric: str, operator: Operator, value: str, number: float | None, excluded: bool
) -> Term:
    if not is_metric(metric):
        example = GENERATOR_LOSS.name
        raise _refuse(source, text, f"{metric[:100]} is not a metric: write group/name, such as {example}")
    metric = read_metric(metric)
    if operator == "~":
        raise _refuse(source, text, "~ searches in texts; a metric is a number: use = != < <= > >=")
    if number is None and value.lower() not in FLAGS:
        raise _refuse(source, text, f"{metric} is a number; {value[:40]} is not")
    return MetricComparison(metric, operator, FLAGS[value.lower()] if number is None else number, excluded)


def _read_number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unquote(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _refuse(source: str, given: str, message: str) -> RequestInvalid:
    shown = given if len(given) <= 80 else given[:79] + "…"
    return RequestInvalid(f"{shown}: {message}", problems=[{"field": source, "given": shown, "message": message}])
