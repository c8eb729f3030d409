"""Reads the fields of MLflow's requests: JSON of protocol buffers, or the query of a GET."""

import base64
import binascii
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from api.mlflow.protocol.errors import invalid
from ganlib.spec.storable import find_unstorable

_ADVICE = " See the API docs for more information about request parameters."
_INT64 = 2**63
_NAMED_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Fields:
    """The fields of one request, or of one object in it; each getter raises MlflowError for another type.

    Unknown fields are ignored, as by MLflow's server: newer clients send more.
    """

    def __init__(self, values: Mapping[str, Any], is_query: bool = False) -> None:
        self._values = values
        self._is_query = is_query

    def with_values(self, values: Mapping[str, str], query: "Fields") -> "Fields":
        """Return these fields with those of the path, and those of the query where the body has none."""
        given = {name: found[0] for name, found in query._values.items()} if not self._values else self._values
        return Fields({**given, **values})

    def text(self, name: str) -> str | None:
        """Return a text, None without one."""
        value = self._first(name)
        if value is None or isinstance(value, str):
            return value
        # Some clients send ids as numbers.
        if isinstance(value, int) and not isinstance(value, bool) and name.endswith("_id"):
            return str(value)
        raise _wrong_type(name, value)

    def need(self, *names: str) -> str:
        """Return the text of the first of these fields that is given; raises MlflowError without one."""
        for name in names:
            value = self.text(name)
            if value:
                return value
        raise invalid(f"Missing value for required parameter '{names[0]}'.{_ADVICE}")

    def run_id(self) -> str:
        """Return the run's id, which older clients name otherwise."""
        return self.need("run_id", "run_uuid")

    def integer(self, name: str) -> int | None:
        """Return an integer of 64 bits, None without one; protocol buffers may write it as a text."""
        value = self._first(name)
        if value is None:
            return None
        number = _read_integer(value)
        if number is None or not -_INT64 <= number < _INT64:
            raise _wrong_type(name, value)
        return number

    def need_integer(self, name: str) -> int:
        """Return an integer; raises MlflowError without one."""
        number = self.integer(name)
        if number is None:
            raise invalid(f"Missing value for required parameter '{name}'.{_ADVICE}")
        return number

    def need_number(self, name: str) -> float:
        """Return a float, which may be NaN or infinite."""
        value = self._first(name)
        if value is None:
            raise invalid(f"Missing value for required parameter '{name}'.{_ADVICE}")
        if isinstance(value, str) and value in _NAMED_NUMBERS:
            return _NAMED_NUMBERS[value]
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise _wrong_type(name, value)
        try:
            return float(value)
        except (ValueError, OverflowError):
            raise _wrong_type(name, value) from None

    def flag(self, name: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self._first(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise _wrong_type(name, value)

    def choice(self, name: str, choices: Mapping[str, Any], numbers: Mapping[int, str] | None = None) -> Any:
        """Return the choice that an enum's name stands for, None without one; numbers: names by their number."""
        value = self._first(name)
        if value is None:
            return None
        number = _read_integer(value)
        if number is not None and numbers:
            value = numbers.get(number, value)
        if not isinstance(value, str) or value not in choices:
            raise invalid(f"Invalid value {json.dumps(value)} for parameter '{name}' supplied.{_ADVICE}")
        return choices[value]

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise _wrong_type(name, values)
        return values

    def items(self, name: str) -> list["Fields"]:
        """Return a list of objects."""
        values = self._list(name)
        if not all(isinstance(value, dict) for value in values):
            raise _wrong_type(name, values)
        return [Fields(value) for value in values]

    def pairs(self, name: str) -> list[tuple[str, str]]:
        """Return a list of objects that each have a key and a value."""
        return [(item.text("key") or "", item.text("value") or "") for item in self.items(name)]

    def item(self, name: str) -> "Fields | None":
        """Return an object, None without one."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, dict):
            raise _wrong_type(name, value)
        return None if value is None else Fields(value)

    def _first(self, name: str) -> Any:
        value = self._values.get(name)
        return value[0] if self._is_query and isinstance(value, list) else value

    def _list(self, name: str) -> list[Any]:
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise _wrong_type(name, value)
        return value


def read_body(raw: bytes) -> Fields:
    """Read a JSON body; an empty one has no fields. Raises MlflowError."""
    if not raw.strip():
        return Fields({})
    try:
        values = json.loads(raw)
        # Older clients encode their body twice.
        values = json.loads(values) if isinstance(values, str) else values
    except (ValueError, RecursionError) as error:
        raise invalid(f"The body is not JSON: {str(error)[:200]}") from None
    if not isinstance(values, dict):
        raise invalid("The body must be a JSON object.")
    if b"\\u" in raw and (problem := find_unstorable(values, numbers=False)) is not None:
        raise invalid(f"Invalid value for parameter '{problem.field}' supplied: {problem.message}")
    return Fields(values)


def read_query(items: Iterable[tuple[str, str]]) -> Fields:
    """Read a query, in which a field may be given several times."""
    values: dict[str, list[str]] = {}
    for name, value in items:
        values.setdefault(name, []).append(value)
    return Fields(values, is_query=True)


def read_offset(token: str | None) -> int:
    """Return the number of results before the page that this token names."""
    if not token:
        return 0
    try:
        offset = json.loads(base64.b64decode(token, validate=True))["offset"]
    except (binascii.Error, ValueError, TypeError, KeyError):
        raise invalid("Invalid page token, could not base64-decode") from None
    if not isinstance(offset, int) or not 0 <= offset < 2**40:
        raise invalid(f"Invalid page token, not stringable {offset}")
    return offset


def write_offset(offset: int) -> str:
    """Return the token of the page that begins after this many results."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def read_count(fields: Fields, default: int, most: int) -> int:
    """Return how many results are asked for; raises MlflowError for too many."""
    count = fields.integer("max_results")
    if count is None:
        return default
    if not 0 < count <= most:
        raise invalid(
            f"Invalid value {count} for parameter 'max_results' supplied. It must be a positive integer, "
            f"at most {most}.{_ADVICE}"
        )
    return count


def show_number(value: float) -> float | str:
    """Write a float as protocol buffers do in JSON, which has no NaN and infinities."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _read_integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.removeprefix("-").isascii() and value.removeprefix("-").isdigit():
        return int(value) if len(value) < 30 else None
    return value if isinstance(value, int) else None


def _wrong_type(name: str, value: Any) -> Exception:
    shown = json.dumps(value, sort_keys=True, separators=(",", ":"))[:200]
    kind = type(value).__name__
    return invalid(
        f"Invalid value {shown} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'.{_ADVICE}"
    )
