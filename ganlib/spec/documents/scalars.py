"""Values of plain scalars by YAML 1.2's core schema (section 10.3.2), and of numbers in JSON.

Unlike in YAML 1.1 `no` and dates are texts, `12:30` is one too, and `0100` is a hundred.
"""

import re
from decimal import Decimal

from ganlib.spec.documents.nodes import MAX_DIGITS, Scalar, Unreadable, at

NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_TAG = "tag:yaml.org,2002:"
_CHECKED_TAGS = {
    f"{_TAG}null": (type(None), "null"),
    f"{_TAG}bool": (bool, "true or false"),
    f"{_TAG}int": (int, "an integer"),
    f"{_TAG}float": (float, "a number"),
}
TEXT_TAGS = {f"{_TAG}str", "!"}
COLLECTION_TAGS = {f"{_TAG}map", f"{_TAG}seq", "!"}

Value = str | int | float | bool | None


def read_scalar(node: Scalar) -> Value:
    """Return the scalar's value; raises Unreadable for a tag that is not read or does not fit."""
    if node.tag in TEXT_TAGS or (node.tag is None and not node.is_plain):
        return node.text
    value = read_plain(node.text, at(node.line, node.column))
    if node.tag is None:
        return value
    if node.tag not in _CHECKED_TAGS:
        raise refuse_tag(node.tag, node.line, node.column)
    kind, name = _CHECKED_TAGS[node.tag]
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise Unreadable(
            f"{at(node.line, node.column)}: its tag says that {node.text[:40]!r} is {name}; it is not"
        )
    return value


def read_plain(text: str, place: str) -> Value:
    """Return the value of a text without quotes; raises Unreadable for a number of too many digits."""
    if text in NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    is_integer = INTEGER.fullmatch(text)
    if not is_integer and not FLOAT.fullmatch(text):
        return text
    if len(text) > MAX_DIGITS:
        raise Unreadable(f"{place}: a number has at most {MAX_DIGITS} characters")
    if is_integer:
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    return read_float(text)


def read_float(text: str) -> float | int:
    """Return a number with a point or an exponent; as an exact integer where a float would round a whole one."""
    number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if number.is_integer() and 2**53 <= abs(number) < 2**64:
        exact = Decimal(text)
        return int(exact) if exact == exact.to_integral_value() else number
    return number


def refuse_tag(tag: str, line: int, column: int) -> Unreadable:
    """Return the error for a tag such as `!!python/object`."""
    shown = f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
    return Unreadable(f"{at(line, column)}: the tag {shown[:60]} is not read; remove it and write a plain value")
