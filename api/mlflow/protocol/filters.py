"""MLflow's language of filters and orders: comparisons joined by AND.

    metrics.loss < 1 and params.lr = '0.001' and tags.`a b` LIKE '%x%' and attributes.status = 'FINISHED'

Every error is a MlflowError that says what to write. The grammar is that of MLflow 3.17's `search_utils.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from api.mlflow.protocol.errors import MlflowError, invalid

Entity = Literal["metric", "parameter", "tag", "attribute", "dataset"]
Value = str | float | tuple[str, ...] | None
_ENTITIES: dict[str, Entity] = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("parameter", "parameters", "param", "params"), "parameter"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
_NUMERIC = frozenset({">", ">=", "!=", "=", "<", "<="})
_TEXT = frozenset({"=", "!=", "LIKE", "ILIKE"})
_LISTS = frozenset({"IN", "NOT IN"})
_NULLS = frozenset({"IS NULL", "IS NOT NULL"})
_MAX_LENGTH, _MAX_CLAUSES = 20_000, 100
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>'(?:[^']|'')*'|"[^"]*")(?!\s*\.)
    |(?P<operator><>|!=|<=|>=|=|<|>)
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])
    |(?P<name>(?:`[^`]*`|"[^"]*"|[A-Za-z_][\w\-]*)(?:\.(?:`[^`]*`|"[^"]*"|[\w\-.:/]+))?)
    |(?P<list>\([^()]*\))
    )""",
    re.X,
)
_LIST_ITEM = re.compile(r"""\s*('[^']*'|"[^"]*")\s*(,|$)""")
_ORDER = re.compile(r"""\s*(?P<key>.+?)(?:\s+(?P<way>asc|desc))?\s*""", re.I | re.S)


@dataclass(frozen=True)
class Vocabulary:
    """What may be named in a list's filter.

    attributes: name → whether it is a number. listed: attributes that `IN` may compare. aliases: other names.
    """

    entities: frozenset[Entity]
    attributes: Mapping[str, bool]
    listed: frozenset[str] = frozenset()
    aliases: Mapping[str, str] | None = None
    nulls: frozenset[Entity] = frozenset()
    ordered: frozenset[str] | None = None


@dataclass(frozen=True)
class Clause:
    """One comparison; `comparator` is in capitals, `value` a float for numbers."""

    entity: Entity
    key: str
    comparator: str
    value: Value


@dataclass(frozen=True)
class Order:
    """One key to sort by."""

    entity: Entity
    key: str
    ascending: bool


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str

    def is_word(self, word: str) -> bool:
        return self.kind == "name" and self.text.upper() == word


def parse_filter(text: str | None, words: Vocabulary) -> list[Clause]:
    """Parse a filter; nothing for an empty one."""
    if not text or not text.strip():
        return []
    if len(text) > _MAX_LENGTH:
        raise invalid(f"The filter has more than {_MAX_LENGTH:,} characters.")
    tokens, clauses, at = _split(text), [], 0
    while True:
        clause, at = _read_clause(tokens, at, words)
        clauses.append(clause)
        if at == len(tokens):
            break
        if not tokens[at].is_word("AND"):
            raise invalid(f"Invalid clause(s) in filter string: '{tokens[at].text}'")
        at += 1
    if len(clauses) > _MAX_CLAUSES:
        raise invalid(f"The filter has more than {_MAX_CLAUSES} comparisons.")
    return clauses


def parse_orders(texts: list[str], words: Vocabulary) -> list[Order]:
    """Parse the keys to sort by, each with ASC or DESC behind it."""
    orders: list[Order] = []
    for text in texts:
        match = _ORDER.fullmatch(text)
        token = _TOKEN.fullmatch(match["key"]) if match else None
        if match is None or token is None or (token["name"] is None and token["string"] is None):
            raise invalid(f"Invalid order_by clause '{text}'. Could not be parsed.")
        keys = words.attributes if words.ordered is None else words.ordered
        entity, key = _identify(token["name"] or token["string"], words, keys)
        order = Order(entity, key, (match["way"] or "asc").lower() == "asc")
        if any((each.entity, each.key) == (entity, key) for each in orders):
            raise MlflowError("INTERNAL_ERROR", f"`order_by` contains duplicate fields: {texts}")
        orders.append(order)
    return orders


def like_pattern(pattern: str, *, ignores_case: bool = False) -> re.Pattern[str]:
    """Return the regular expression of a LIKE: `%` stands for any text, `_` for any character."""
    parts = {"%": ".*", "_": "."}
    expression = "".join(parts.get(character) or re.escape(character) for character in pattern)
    return re.compile(expression, re.S | (re.I if ignores_case else 0))


def _split(text: str) -> list[_Token]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None or match.lastgroup is None:
            raise invalid(f"Invalid clause(s) in filter string: '{text[at:end].strip()[:100]}'")
        tokens.append(_Token(match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


def _read_clause(tokens: list[_Token], at: int, words: Vocabulary) -> tuple[Clause, int]:
    rest = tokens[at : at + 4]
    if len(rest) < 3 or rest[0].kind not in ("name", "string"):
        shown = " ".join(token.text for token in rest)
        raise invalid(f"Invalid clause(s) in filter string: '{shown}'" if shown else "Invalid comparison clause")
    entity, key = _identify(rest[0].text, words, words.attributes)
    if rest[1].is_word("IS"):
        return _read_null(rest, entity, key, words, at)
    if rest[1].is_word("NOT") and rest[2].is_word("IN") and len(rest) == 4:
        return Clause(entity, key, "NOT IN", _read_list(entity, key, rest[3], words)), at + 4
    if rest[1].is_word("IN"):
        return Clause(entity, key, "IN", _read_list(entity, key, rest[2], words)), at + 3
    comparator = "!=" if rest[1].text == "<>" else rest[1].text.upper()
    is_number = entity == "metric" or (entity == "attribute" and words.attributes[key])
    if comparator not in (_NUMERIC if is_number else _TEXT):
        raise _wrong_comparator(entity, comparator, _NUMERIC if is_number else _TEXT | _LISTS)
    return Clause(entity, key, comparator, _read_value(entity, key, rest[2], is_number)), at + 3


def _read_null(rest: list[_Token], entity: Entity, key: str, words: Vocabulary, at: int) -> tuple[Clause, int]:
    is_not = rest[2].is_word("NOT")
    if not rest[-1 if is_not else 2].is_word("NULL") or (is_not and len(rest) < 4):
        raise invalid(f"Invalid clause(s) in filter string: '{' '.join(token.text for token in rest)}'")
    if entity not in words.nulls:
        raise invalid(f"IS NULL / IS NOT NULL is only supported for tags and params, not for '{entity}' '{key}'")
    return Clause(entity, key, "IS NOT NULL" if is_not else "IS NULL", None), at + (4 if is_not else 3)


def _read_value(entity: Entity, key: str, token: _Token, is_number: bool) -> Value:
    if is_number:
        if token.kind != "number":
            what = "metric" if entity == "metric" else f"numeric attribute: {key}"
            raise invalid(f"Expected numeric value type for {what}. Found {token.text}")
        return float(token.text)
    if token.kind != "string":
        what = entity if entity in ("parameter", "tag") else "attributes"
        raise invalid(f"Expected a quoted string value for {what} (e.g. 'my-value'). Got value {token.text}")
    return token.text[1:-1]


def _read_list(entity: Entity, key: str, token: _Token, words: Vocabulary) -> tuple[str, ...]:
    if (entity == "attribute" and key not in words.listed) or entity not in ("attribute", "dataset"):
        raise invalid(
            f"Only {sorted(words.listed)} attributes support comparison with a list of quoted string values."
        )
    inner, at = token.text[1:-1].strip().removesuffix(","), 0
    values: list[str] = []
    while token.kind == "list" and at < len(inner):
        match = _LIST_ITEM.match(inner, at)
        if match is None:
            values.clear()
            break
        values.append(match[1][1:-1])
        at = match.end()
    if not values:
        raise invalid(
            "While parsing a list in the query, expected a non-empty list of string values, "
            "but got ill-formed list."
        )
    return tuple(values)


def _identify(text: str, words: Vocabulary, attributes: Mapping[str, bool] | frozenset[str]) -> tuple[Entity, str]:
    first, dot, rest = _split_name(text)
    # A name that holds dots of its own, such as "user.id", is quoted as a whole.
    entity = _ENTITIES.get(_unquote(first)) if dot else "attribute"
    if entity is None or entity not in words.entities:
        raise invalid(f"Invalid entity type '{_unquote(first)}'. Valid values are {sorted(words.entities)}")
    key = _unquote(rest if dot else first)
    if entity == "attribute":
        key = (words.aliases or {}).get(key, key)
        if key not in attributes:
            raise invalid(f"Invalid attribute key '{key}' specified. Valid keys are '{sorted(attributes)}'")
    elif entity == "dataset" and key not in ("name", "digest", "context"):
        raise invalid(f"Invalid dataset key '{key}' specified. Valid keys are 'name', 'digest' and 'context'")
    return entity, key


def _split_name(text: str) -> tuple[str, str, str]:
    if text[0] in "`\"'":
        end = text.index(text[0], 1) + 1
        return text[:end], text[end : end + 1], text[end + 1 :]
    return text.partition(".")


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in "`\"'" and text[-1] == text[0] else text


def _wrong_comparator(entity: str, comparator: str, allowed: frozenset[str]) -> MlflowError:
    return invalid(f"Invalid comparator '{comparator}' not one of '{sorted(allowed)}' for {entity}")
