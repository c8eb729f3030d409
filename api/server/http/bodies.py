"""Reads bodies strictly: NaN, infinities and numbers too large for a float are refused; specs may be YAML."""

import json
import math
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from api.errors import RequestInvalid, SpecRefused
from ganlib.errors import Problem, SpecInvalid
from ganlib.events import RULE_PATTERN
from ganlib.spec.documents.nodes import Unreadable
from ganlib.spec.documents.suggestions import ask_near
from ganlib.spec.documents.values import read_json
from ganlib.spec.files import read_spec_bytes
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec, show_given
from ganlib.spec.storable import find_unstorable, replace_unstorable

Model = TypeVar("Model", bound=BaseModel)
_MAX_PROBLEMS = 20
_MAX_FIELD = 200
YAML_TYPE = "application/yaml"
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
        errors = error.errors(include_url=False)[:_MAX_PROBLEMS]
        raise refuse_request([_describe_error(details, model) for details in errors]) from None
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


def _describe_error(details: ErrorDetails, model: type[BaseModel]) -> dict[str, str]:
    problem = describe_problem(details)
    if details["type"] == "json_invalid" and "recursion" in problem["message"]:
        return problem | {"message": _TOO_DEEP}
    if details["type"] == "extra_forbidden" and len(details["loc"]) == 1:
        return problem | {"message": f"there is no such field{ask_near(problem['field'], model.model_fields)}"}
    return problem


def parse_job_spec(raw: bytes, content_type: str = "") -> JobSpec:
    """Read a body as a job spec: JSON, or YAML where the content type says so; raises SpecRefused.

    The error names every invalid field.
    """
    try:
        return parse_spec(_read_spec(raw, content_type))
    except Unreadable as error:
        raise SpecRefused.from_problems([Problem("", "", str(error))]) from None
    except SpecInvalid as error:
        raise SpecRefused.from_problems(error.problems) from None
    except ValueError as error:
        advice = f"send YAML with Content-Type: {YAML_TYPE}"
        raise SpecRefused.from_problems(
            [Problem("", "", f"the body is not JSON ({error}); {advice}"[:300])]
        ) from None


def _read_spec(raw: bytes, content_type: str) -> Any:
    """Return what the body says; raises Unreadable, SpecInvalid, and ValueError for what is no JSON."""
    if "yaml" in content_type.lower():
        return read_spec_bytes(raw, "")
    return read_json(raw)


def refuse_request(problems: list[dict[str, str]]) -> RequestInvalid:
    """Return the error that lists these problems."""
    sentence = "; ".join(f"{problem['field']}: {problem['message']}".lstrip(": ") for problem in problems)
    return RequestInvalid(sentence[:2000] or None, problems=problems)


def describe_problem(details: ErrorDetails | dict[str, Any]) -> dict[str, str]:
    """Return the field, the given value and the message of a problem."""
    return {
        "field": replace_unstorable(".".join(str(part)[:_MAX_FIELD] for part in details["loc"])),
        "given": show_given(details.get("input", "")),
        "message": _say(details) + _ask_near_choice(details),
    }


def _say(details: ErrorDetails | dict[str, Any]) -> str:
    if details["type"] == "string_pattern_mismatch" and details["ctx"]["pattern"] == RULE_PATTERN:
        return "must be the name of a rule, as mode_collapse: small letters, digits and _"
    return str(details["msg"])


def _ask_near_choice(details: ErrorDetails | dict[str, Any]) -> str:
    """Return a question for the nearest of the values that are allowed, if only some are."""
    if details["type"] != "literal_error":
        return ""
    return ask_near(
        str(details.get("input", "")), re.findall(r"'([^']*)'", details.get("ctx", {}).get("expected", ""))
    )


def _refuse_constant(name: str) -> float:
    raise ValueError(f'{name} is not a number in JSON; write "nan", "inf" or "-inf" for a metric')


def _read_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large for a float")
    return number
