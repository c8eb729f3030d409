"""The words in which people and programs search for jobs.

    digits tag:sweep state:failed commit:ab12 recipe:winkler from:ID losses.generator=wasserstein eval/coverage<0.5

A bare word is a part of the name or of a tag, or the beginning of an id. A field of the spec, a metric (its newest
value), or one of JOB_FIELDS is compared. `from:` and the beginning of a job's id finds what was made from it.
A minus in front excludes; quotes hold words together. Every error is a RequestInvalid that says what to write.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from api.errors import RequestInvalid
from api.server.http.schemas import JobState
from ganlib.events import METRIC_NAME_PATTERN
from ganlib.spec.paths import NoSuchField, Step, resolve_field

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
Key = Literal["name", "tag", "state", "commit", "recipe", "from"]
KEYS: tuple[Key, ...] = get_args(Key)
# What a job has beside its spec and its metrics.
JOB_FIELDS = ("iteration", "attempt")
ORDERS: tuple[Operator, ...] = ("<", "<=", ">", ">=")
# What a metric is when it is no finite number.
FLAGS = {"nan": "nan", "inf": "inf", "+inf": "inf", "-inf": "-inf"}
MAX_TERMS = 20

_COMPARISON = re.compile(
    r"(?P<field>[A-Za-z_][A-Za-z0-9_./-]*)\s*(?P<operator>!=|<=|>=|=|<|>|~)\s*(?P<value>.*)", re.S
)
_TERM = re.compile(
    r"""(?P<minus>-)?(?:
    (?P<field>[A-Za-z_][A-Za-z0-9_./-]*)\s*(?P<operator>!=|<=|>=|=|<|>|~)\s*(?P<value>"[^"]*"|[^\s"]*)
    |(?P<key>[A-Za-z]+):(?P<wanted>"[^"]*"|[^\s"]*)
    |"(?P<quoted>[^"]*)"
    |(?P<word>[^\s"]+)
    )(?=\s|$)""",
    re.X,
)
_METRIC = re.compile(METRIC_NAME_PATTERN)


@dataclass(frozen=True)
class Word:
    """A bare word, or a key and what is wanted of it: `tag:sweep`."""

    key: Key | None
    wanted: str
    excluded: bool = False


@dataclass(frozen=True)
class MetricComparison:
    """A metric's newest value against a number, or one of FLAGS."""

    metric: str
    operator: Operator
    value: float | str
    excluded: bool = False


@dataclass(frozen=True)
class FieldComparison:
    """One of JOB_FIELDS, or `spec` and the way to one of its fields, against a value; `number`: it as a number."""

    steps: tuple[Step, ...]
    operator: Operator
    value: str
    number: float | None
    excluded: bool = False


Term = Word | MetricComparison | FieldComparison


def parse_search(text: str) -> list[Term]:
    """Read a line of the search box; raises RequestInvalid."""
    terms: list[Term] = []
    rest = text.strip()
    while rest:
        found = _TERM.match(rest)
        if found is None:
            raise _refuse("q", rest, 'a quotation mark is not closed: write "two words"')
        terms.append(_read_term(found))
        rest = rest[found.end() :].lstrip()
    return check_count(terms, "q")


def parse_comparison(text: str, excluded: bool = False, source: str = "where") -> Term:
    """Read `field operator value`; raises RequestInvalid."""
    found = _COMPARISON.fullmatch(text.strip())
    if found is None:
        raise _refuse(source, text, "write a field, one of = != < <= > >= ~, and a value: losses.generator=hinge")
    field, value = found["field"], _unquote(found["value"].strip())
    operator: Operator = found["operator"]  # type: ignore[assignment]  # the pattern knows no other
    if not value:
        raise _refuse(source, text, f"wants a value, as {field}{operator}…")
    number = _read_number(value)
    if operator in ORDERS and number is None:
        raise _refuse(source, text, f"{operator} compares numbers; {value[:40]} is none")
    if "/" in field:
        return _compare_metric(source, text, field, operator, value, number, excluded)
    if field in JOB_FIELDS:
        return FieldComparison((field,), operator, value, number, excluded)
    try:
        return FieldComparison(("spec", *resolve_field(field)), operator, value, number, excluded)
    except NoSuchField as error:
        raise _refuse(source, text, str(error)) from None


def check_count(terms: Sequence[Term], source: str) -> list[Term]:
    """Return the terms; raises RequestInvalid when they are too many for one query."""
    if len(terms) > MAX_TERMS:
        raise _refuse(source, f"{len(terms)} conditions", f"at most {MAX_TERMS} conditions can be combined")
    return list(terms)


def is_metric(name: str) -> bool:
    """Whether this is how a metric is named: group/name."""
    return _METRIC.fullmatch(name) is not None


def _read_term(found: re.Match[str]) -> Term:
    excluded = bool(found["minus"])
    if found["field"]:
        return parse_comparison(found[0].removeprefix("-"), excluded, "q")
    if found["key"] is None:
        return Word(None, found["quoted"] if found["word"] is None else found["word"], excluded)
    key = next((key for key in KEYS if found["key"].lower() in (key, f"{key}s")), None)
    if key is None:
        close = get_close_matches(found["key"].lower(), KEYS, n=1, cutoff=0.75)
        if close:
            advice = (
                f"there is no {found['key']}:, did you mean {close[0]}:? In quotes it is searched for as it is"
            )
            raise _refuse("q", found[0], advice)
        # A tag such as paper:w.
        return Word(None, found[0].removeprefix("-").replace('"', ""), excluded)
    return Word(key, _check_wanted(key, _unquote(found["wanted"]), found[0]), excluded)


def _check_wanted(key: Key, wanted: str, text: str) -> str:
    if not wanted:
        raise _refuse("q", text, f"{key}: wants a value, as {key}:…")
    if key == "state" and wanted.lower() not in get_args(JobState):
        raise _refuse("q", text, f"there is no state {wanted[:40]}; there are: {', '.join(get_args(JobState))}")
    if key == "commit" and not re.fullmatch(r"[0-9a-fA-F]{1,40}", wanted):
        raise _refuse("q", text, f"{wanted[:40]} is no beginning of a commit: up to 40 of 0-9 and a-f")
    return wanted.lower() if key in ("state", "commit") else wanted


def _compare_metric(
    source: str, text: str, metric: str, operator: Operator, value: str, number: float | None, excluded: bool
) -> Term:
    if not is_metric(metric):
        raise _refuse(source, text, f"{metric[:100]} is no metric: they are named group/name, as loss/generator")
    if operator == "~":
        raise _refuse(source, text, "~ looks for a part of a text; a metric is a number: use = != < <= > >=")
    if number is None and value.lower() not in FLAGS:
        raise _refuse(source, text, f"{metric} is a number; {value[:40]} is none")
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
