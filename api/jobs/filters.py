"""Search terms as SQL conditions: names are checked, values are bound parameters."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Float,
    String,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from api.errors import RequestInvalid
from api.events.findings.queries import has_finding, has_verdict
from api.jobs.search import (
    FieldComparison,
    MetricComparison,
    Operator,
    Term,
    Word,
    is_metric,
    read_metric,
    write_metric,
)
from api.server.database.models import GANLIB, Job, LatestValue
from api.server.database.spec_columns import postgresql_number, spec_column
from ganlib.spec.documents.suggestions import find_near
from ganlib.spec.paths import Step
from ganlib.vocabulary import METRICS

Condition = ColumnElement[bool]
_USUAL_METRICS = {metric.name for metric in METRICS}
# How many names an answer lists, and the own runs whose settings are read for them.
_SHOWN_NAMES, _READ_RUNS, _READ_TAGS = 5, 50, 1000
_LEAST_LIKENESS = 0.68
# Steps of a setting of an own run: ("spec", "config", …).
_CONFIG = ("spec", "config")


@dataclass(frozen=True)
class Leaf:
    """One value of a spec in SQL; each part is NULL or false where the value is of another kind."""

    text: Any
    number: Any
    # true, false or null
    word: Any


Test = Callable[[Leaf], Condition]


def build_condition(term: Term, dialect: str) -> Condition:
    """Return the condition on Job of a search term."""
    match term:
        case Word():
            condition = _match_word(term, dialect)
        case MetricComparison():
            condition = _compare_metric(term)
        case FieldComparison():
            condition = _compare_field(term, dialect)
    # Without coalesce, NULL would neither match nor be excluded.
    return not_(func.coalesce(condition, False)) if term.excluded else condition


def has_tag(tag: str) -> Condition:
    """Return the condition that a job has exactly this tag."""
    # Tags are a JSON list of names without quotes, so a quoted name matches whole tags only.
    return cast(Job.tags, String).contains(_write_json(tag), autoescape=True)


def is_of_recipe(text: str, dialect: str) -> Condition:
    """Return the condition that a job repeats a recipe whose paper, or that itself, is named like this text."""
    paper: Any = spec_column(dialect)["recipe"]["paper"].as_string()
    return and_(paper.is_not(None), or_(paper.icontains(text, autoescape=True), _name_contains(text)))


def _name_contains(text: str) -> Condition:
    return Job.name.icontains(text, autoescape=True)


def _tags_contain(text: str) -> Condition:
    return cast(Job.tags, String).icontains(_write_json(text)[1:-1], autoescape=True)


def _write_json(text: str) -> str:
    """Write a text as it stands in a column of JSON, where other letters than ASCII's are escaped."""
    return json.dumps(text)


def _match_word(word: Word, dialect: str) -> Condition:
    match word.key:
        case "tag":
            return has_tag(word.value)
        case "state" | "origin":
            return _compare(getattr(Job, word.key), "=", word.value)
        case "commit":
            return Job.commit_hash.startswith(word.value, autoescape=True)
        case "recipe":
            return is_of_recipe(word.value, dialect)
        case "verdict":
            return has_verdict(word.value)  # type: ignore[arg-type]  # the search checked it
        case "finding":
            return has_finding(word.value)
        case "from":
            named = aliased(Job)
            ids = select(named.id).where(named.name == word.value, named.deleted_at.is_(None))
            return or_(Job.made_from.startswith(word.value, autoescape=True), Job.made_from.in_(ids))
        case "name":
            return _name_contains(word.value)
        case None:
            return or_(
                _name_contains(word.value),
                _tags_contain(word.value),
                Job.id.startswith(word.value, autoescape=True),
            )


def _compare_metric(term: MetricComparison) -> Condition:
    if isinstance(term.value, str):
        wanted = func.coalesce(LatestValue.flag, "") == term.value
        wanted = not_(wanted) if term.operator == "!=" else wanted
    else:
        wanted = _compare(LatestValue.value, term.operator, term.value)
        infinite = {">": "inf", ">=": "inf", "<": "-inf", "<=": "-inf"}.get(term.operator)
        if infinite:
            wanted = or_(wanted, LatestValue.flag == infinite)
        elif term.operator == "!=":
            wanted = or_(wanted, LatestValue.flag.is_not(None))
    found = exists().where(LatestValue.job_id == Job.id, LatestValue.metric == term.metric, wanted)
    # The list itself reads this table where it is sorted by a metric.
    return found.correlate(Job)


def _compare_field(term: FieldComparison, dialect: str) -> Condition:
    first, *rest = term.steps
    if first != "spec":
        return _compare_column(getattr(Job, str(first)), term)
    if rest == ["name"]:
        return _test_leaf(term)(Leaf(Job.name, literal(None), literal("")))
    if rest == ["tags", None]:
        return _compare_tags(term)
    # "!=" matches where no element equals the value, and where the field is missing.
    positive = FieldComparison(term.steps, "=", term.value, term.number) if term.operator == "!=" else term
    match_field = _match_in_postgresql if dialect == "postgresql" else _match_in_sqlite
    matches = match_field(spec_column(dialect), tuple(rest), _test_leaf(positive))
    return not_(func.coalesce(matches, False)) if term.operator == "!=" else matches


def _compare_column(column: Any, term: FieldComparison) -> Condition:
    if term.operator == "~":
        return cast(column, String).contains(term.value, autoescape=True)
    if term.number is None:
        return literal(term.operator == "!=")
    # As a float: an integer's parameter would refuse 0.5 and 1e300.
    return _compare(column, term.operator, literal(term.number, Float(53)))


def _compare_tags(term: FieldComparison) -> Condition:
    if term.operator == "~":
        return _tags_contain(term.value)
    return not_(has_tag(term.value)) if term.operator == "!=" else has_tag(term.value)


def _compare(column: Any, operator: Operator, value: Any) -> Condition:
    comparison: Condition = {
        "=": column.__eq__,
        "!=": column.__ne__,
        "<": column.__lt__,
        "<=": column.__le__,
        ">": column.__gt__,
        ">=": column.__ge__,
    }[operator](value)
    return comparison


def _test_leaf(term: FieldComparison) -> Test:
    """Return the comparison of one value: as a number where both are numbers, else as text."""

    def test(leaf: Leaf) -> Condition:
        if term.operator == "~":
            return cast(leaf.text, Text).icontains(term.value, autoescape=True)
        if term.operator not in ("=", "!="):
            return _compare(leaf.number, term.operator, term.number)
        same = [leaf.text == term.value, leaf.word == term.value.lower()]
        return or_(*same, leaf.number == term.number) if term.number is not None else or_(*same)

    return test


def _match_in_sqlite(document: Any, steps: tuple[Step, ...], test: Test) -> Condition:
    """Return the condition that a value at these steps passes: one json_each for each list on the way."""
    before, after = _split(steps)
    path = _write_path(before)
    if after is None:
        return test(_sqlite_leaf(func.json_type(document, path), func.json_extract(document, path)))
    each = func.json_each(document, path).table_valued("value", "type", "atom")
    if not after:
        inner = test(_sqlite_leaf(each.c.type, each.c.atom))
    else:
        # json_each cannot search a scalar.
        inner = case((each.c.type.in_(["object", "array"]), _match_in_sqlite(each.c.value, after, test)))
    return exists(select(literal(1)).select_from(each).where(inner))


def _sqlite_leaf(kind: Any, value: Any) -> Leaf:
    is_number = kind.in_(["integer", "real"])
    return Leaf(
        text=case((kind == "text", value), (is_number, cast(value, Text))),
        number=case((is_number, value)),
        word=kind,
    )


def _match_in_postgresql(document: Any, steps: tuple[Step, ...], test: Test) -> Condition:
    """Return the condition that a value at these steps passes; a JSON path supports "any element"."""
    from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

    path = cast(literal(_write_path(steps), String), JSONPATH)
    value = func.jsonb_path_query(cast(document, JSONB), path, type_=JSONB).column_valued("field")
    kind = func.jsonb_typeof(value)
    text = value.op("#>>")(cast(literal([], ARRAY(Text)), ARRAY(Text)))
    leaf = Leaf(
        text=case((kind.in_(["string", "number"]), text)),
        number=case((kind == "number", postgresql_number(text))),
        word=case((kind == "boolean", text), (kind == "null", "null")),
    )
    return exists(select(literal(1)).where(test(leaf)))


def _split(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Step, ...] | None]:
    """Return the steps before the first searched list, and those after it (None without such a list)."""
    if None not in steps:
        return steps, None
    place = steps.index(None)
    return steps[:place], steps[place + 1 :]


def _write_path(steps: tuple[Step, ...]) -> str:
    """Write a JSON path of spec field names; it is used as a bound parameter."""
    parts = ["[*]" if step is None else f"[{step}]" if isinstance(step, int) else f'."{step}"' for step in steps]
    return "$" + "".join(parts)


def check_metrics(session: Session, sort: str, terms: Sequence[Term]) -> None:
    """Raise RequestInvalid for a metric that no job has and that is nearly written like a usual one."""
    named = {
        "where": [term.metric for term in terms if isinstance(term, MetricComparison)],
        "sort": [read_metric(name) for name in [sort.removeprefix("-")] if is_metric(name)],
    }
    for field, names in named.items():
        for name in names:
            near = find_near(name, _USUAL_METRICS, cutoff=0.9)
            if near and not _has_metric(session, name):
                message = f"no job has a metric {name}; did you mean {near}?"
                problem = {"field": field, "given": name, "message": message}
                raise RequestInvalid(f"{message[:1].upper()}{message[1:]}", problems=[problem])


def explain_no_match(session: Session, terms: Sequence[Term]) -> str | None:
    """Return which tag, metric or setting of these terms no job has, with the nearest there is; None for none.

    A usual metric that nothing was measured by yet is no mistake.
    """
    for term in terms:
        if term.excluded:
            continue
        if isinstance(term, Word) and term.key == "tag" and not _has_tag(session, term.value):
            tags = session.scalars(select(Job.tags).where(Job.deleted_at.is_(None)).limit(_READ_TAGS))
            return f"No job has the tag {term.value}{_name_near(term.value, sorted(set().union(*tags)))}"
        if isinstance(term, MetricComparison) and not _has_metric(session, term.metric):
            if term.metric in _USUAL_METRICS:
                return f"No job has measured {term.metric}."
            had = session.scalars(select(LatestValue.metric).distinct().order_by(LatestValue.metric)).all()
            near = _name_near(term.metric, had, _USUAL_METRICS)
            return f"No job has a metric {write_metric(term.metric)}{near}"
        if isinstance(term, FieldComparison) and term.steps[:2] == _CONFIG and not _has_setting(session, term):
            name = ".".join(map(str, term.steps[1:]))
            return f"No job has a setting {name}{_name_near(name, _list_settings(session))}"
    return None


def _name_near(name: str, had: Sequence[str], usual: Collection[str] = ()) -> str:
    near = find_near(name, [*had, *usual], cutoff=_LEAST_LIKENESS)
    if near:
        return f"; did you mean {near}?"
    more = " and others" if len(had) > _SHOWN_NAMES else ""
    return f"; there are {', '.join(had[:_SHOWN_NAMES])}{more}." if had else "."


def _has_tag(session: Session, tag: str) -> bool:
    return session.scalar(select(Job.id).where(Job.deleted_at.is_(None), has_tag(tag)).limit(1)) is not None


def _has_metric(session: Session, name: str) -> bool:
    return session.scalar(select(LatestValue.job_id).where(LatestValue.metric == name).limit(1)) is not None


def _has_setting(session: Session, term: FieldComparison) -> bool:
    dialect = session.get_bind().dialect.name
    match_field = _match_in_postgresql if dialect == "postgresql" else _match_in_sqlite
    had = match_field(
        spec_column(dialect), term.steps[1:], lambda leaf: or_(leaf.text.is_not(None), leaf.word.is_not(None))
    )
    return session.scalar(select(Job.id).where(Job.origin != GANLIB, had).limit(1)) is not None


def _list_settings(session: Session) -> list[str]:
    newest = select(Job.spec).where(Job.origin != GANLIB, Job.deleted_at.is_(None))
    specs = session.scalars(newest.order_by(Job.created_at.desc()).limit(_READ_RUNS))
    names = (name for spec in specs for name in _walk("config", spec.get("config")))
    return list(dict.fromkeys(names))


def _walk(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(f"{name}.{key}", inner)
    elif name != "config":
        yield name
