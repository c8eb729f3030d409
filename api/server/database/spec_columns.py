"""Specs in SQL, as PostgreSQL can read all of them.

An earlier version took specs with U+0000, half a surrogate pair or an integer of any length. PostgreSQL's
functions fail at such a row, and with it every search that looks at it: here these characters are replaced, and
numbers are bounded. SQLite's functions fail at none of them.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ColumnElement, Float, Numeric, Text, and_, case, cast, func, literal, type_coerce

from api.server.database.models import Job

# JSON columns are written in ASCII: these are escapes of U+0000 and of surrogates that stand alone.
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_UNREADABLE = rf"\\u0000|{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}"
# Short enough for any float, without an exponent beyond one's range.
_SHORT, _LARGE_EXPONENT = 30, r"[eE][+-]?\d{3}"
_LARGEST, _DECIMALS = literal(Decimal(10) ** 308, Numeric), 340


def spec_column(dialect: str) -> ColumnElement[Any]:
    """Return a job's spec as a JSON document that every function of this database can read."""
    if dialect != "postgresql":
        return Job.spec.expression
    text = cast(Job.spec, Text)
    mended = cast(func.regexp_replace(text, _UNREADABLE, r"\\ufffd", "g"), JSON)
    # Few specs have an escape at all, and to look for one is cheap.
    return type_coerce(case((func.strpos(text, "\\u") == 0, Job.spec), else_=mended), JSON)


def postgresql_number(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the float of a JSON number's text; one beyond a float's range is infinite."""
    is_plain = and_(func.length(text) <= _SHORT, text.op("!~")(_LARGE_EXPONENT))
    exact = cast(text, Numeric)
    bounded = case(
        (exact > _LARGEST, literal(float("inf"), Float(53))),
        (exact < -_LARGEST, literal(float("-inf"), Float(53))),
        else_=cast(func.round(exact, _DECIMALS), Float(53)),
    )
    return case((is_plain, cast(text, Float(53))), else_=bounded)
