"""Reads JSON bodies strictly: NaN, infinities and numbers too large for a float are refused."""

import json
import math
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from api.errors import RequestInvalid, SpecRefused
from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec
from ganlib.spec.storable import find_unstorable, replace_unstorable

Model = TypeVar("Model", bound=BaseModel)
_MAX_PROBLEMS = 20
_MAX_GIVEN = 80
_TOO_DEEP = "the body is nested too deeply"
# Signs of invalid JSON or floats; strings may contain them too, so the strict reader decides.
_SUSPICIOUS = re.compile(rb"NaN|Infinity|[eE]\+?\d{3}|\d{300}")
# Escapes of U+0000 and of surrogates, some of which are half a character: JSON holds them in no other form.
_ESCAPED = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def parse_body(model: type[Model], raw: bytes) -> Model:
    """Read a JSON body as this schema; raises RequestInvalid, also for a text that no database can store.

    In what programs print (`ganlib.events.PrintedText`), such characters are replaced.
    """
    try:
        if _SUSPICIOUS.search(raw):
            json.loads(raw, parse_constant=_refuse_constant, parse_float=_read_finite)
        return _parse_escaped(model, raw) if has_escapes(raw) else model.model_validate_json(raw)
    except ValidationError as error:
        problems = [describe_problem(details) for details in error.errors(include_url=False)[:_MAX_PROBLEMS]]
        raise refuse_request(problems) from None
    except RecursionError:
        raise refuse_request([{"field": "", "given": "", "message": _TOO_DEEP}]) from None
    except ValueError as error:
        raise refuse_request([{"field": "", "given": "", "message": f"the body is not JSON: {error}"}]) from None


def has_escapes(raw: bytes) -> bool:
    """Return whether a JSON body may hold a character that no database can store."""
    return _ESCAPED.search(raw) is not None


def _parse_escaped(model: type[Model], raw: bytes) -> Model:
    data = json.loads(raw)
    if find_unstorable(data, numbers=False) is None:
        return model.model_validate_json(raw)
    parsed = model.model_validate(data)
    problem = find_unstorable(parsed.model_dump(), numbers=False)
    if problem is not None:
        raise refuse_request([{"field": problem.field, "given": problem.given, "message": problem.message}])
    return parsed


def parse_job_spec(raw: bytes) -> JobSpec:
    """Read a JSON body as a job spec; raises SpecRefused, which names every invalid field."""
    try:
        # NaN and infinities are accepted here, so that the spec's own check can name their field.
        return parse_spec(json.loads(raw, object_pairs_hook=_read_mapping))
    except _GivenTwice as error:
        raise SpecRefused.from_problems([Problem(error.field, "", "this field is given twice")]) from None
    except SpecInvalid as error:
        raise SpecRefused.from_problems(error.problems) from None
    except RecursionError:
        raise SpecRefused.from_problems([Problem("", "", _TOO_DEEP)]) from None
    except ValueError as error:
        problem = Problem("", "", f"the body is not JSON ({error}); `ganvas submit` takes YAML too"[:300])
        raise SpecRefused.from_problems([problem]) from None


def refuse_request(problems: list[dict[str, str]]) -> RequestInvalid:
    """Return the error that lists these problems."""
    sentence = "; ".join(f"{problem['field']}: {problem['message']}".lstrip(": ") for problem in problems)
    return RequestInvalid(sentence[:2000] or None, problems=problems)


def describe_problem(details: ErrorDetails | dict[str, Any]) -> dict[str, str]:
    """Return the field, the given value and the message of a problem."""
    given = repr(details.get("input", ""))
    return {
        "field": replace_unstorable(".".join(str(part) for part in details["loc"])),
        "given": given if len(given) <= _MAX_GIVEN else given[: _MAX_GIVEN - 1] + "…",
        "message": str(details["msg"]),
    }


class _GivenTwice(Exception):
    def __init__(self, field: str) -> None:
        self.field = field.encode("utf-8", "replace").decode()[:_MAX_GIVEN]


def _read_mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Read an object without repeated fields: readers disagree on which of two values counts."""
    read: dict[str, Any] = {}
    for field, value in pairs:
        if field in read:
            raise _GivenTwice(field)
        read[field] = value
    return read


def _refuse_constant(name: str) -> float:
    raise ValueError(f'{name} is not a number in JSON; write "nan", "inf" or "-inf" for a metric')


def _read_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large for a float")
    return number
