"""Parse and check specs; errors name the field, what was given and what is allowed (no torch).

`parse_spec` takes what YAML or JSON gave; `load_spec` reads a file. Both raise SpecInvalid.
"""

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.checks import find_problem
from ganlib.spec.files import read_spec_file
from ganlib.spec.job import JobSpec
from ganlib.spec.storable import UNSTORABLE_TEXT, find_unstorable

Location = tuple[int | str, ...]

_MAX_GIVEN = 80
# Pydantic's error types in the words of a spec; {…} are the error's own facts.
_MESSAGES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of fields to values",
    "extra_forbidden": "there is no such field; remove it or correct its name",
    "finite_number": "must be a finite number, not NaN or infinity",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge:,}",
    "int_from_float": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "must be an integer with fewer digits",
    "int_type": "must be an integer",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le:,}",
    "literal_error": "is not known; allowed: {expected}",
    "missing": "this field is required",
    "model_attributes_type": "must be a mapping of fields to values",
    "model_type": "must be a mapping of fields to values",
    "string_too_long": "must have at most {max_length:,} characters",
    "string_type": "must be text",
    "string_unicode": UNSTORABLE_TEXT,
    "too_long": "must have at most {max_length} items, not {actual_length}",
    "too_short": "must have at least {min_length} item",
    "tuple_type": "must be a list",
    "union_tag_invalid": "{discriminator} is not known; allowed: {expected_tags}",
}

# The patterns of a spec's texts in words.
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,99}$": (
        "1 to 100 letters, digits, spaces, '.', '_' or '-' are allowed, a letter or digit first"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,49}$": (
        "1 to 50 letters, digits, '.', '_', ':', '/' or '-' are allowed, a letter or digit first"
    ),
    r"^[0-9a-f]{7,40}$": "must be the first 7 to 40 digits of a commit, 0 to 9 and a to f",
}


def parse_spec(data: Any) -> JobSpec:
    """Check what YAML or JSON gave and return the spec; raises SpecInvalid."""
    if not isinstance(data, dict):
        shown = type(data).__name__ if data is not None else "nothing"
        raise SpecInvalid([Problem("", shown, "a spec is a mapping of fields to values")])
    try:
        spec = JobSpec.model_validate(data)
    except ValidationError as error:
        raise SpecInvalid(problems_of(error)) from None
    problem = find_unstorable(data) or find_problem(spec)
    if problem is not None:
        raise SpecInvalid([problem])
    return spec


def load_spec(path: Path) -> JobSpec:
    """Read and check a YAML or JSON file; raises SpecInvalid."""
    return parse_spec(read_spec_file(path))


@cache
def variants_by_field() -> dict[str, tuple[str, ...]]:
    """Return the kinds of each union, in its order, by the field that holds one or a list of them.

    Such as `schedule`: constant, linear; `techniques`: ema_generator and so on.
    """
    variants: dict[str, tuple[str, ...]] = {}
    for properties in _all_properties():
        for field, schema in properties.items():
            for part in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
                if "discriminator" in part:
                    variants[field] = _kinds_of(part)
    return variants


@cache
def field_names() -> tuple[str, ...]:
    """Return the names of all fields that any part of a spec has."""
    return tuple(sorted({name for properties in _all_properties() for name in properties}))


@cache
def _all_properties() -> list[dict[str, Any]]:
    schema = JobSpec.model_json_schema()
    return [part.get("properties", {}) for part in (schema, *schema["$defs"].values())]


def _kinds_of(union: dict[str, Any]) -> tuple[str, ...]:
    """Return the values of a union's discriminator; one part may have several."""
    mapping: dict[str, str] = union["discriminator"]["mapping"]
    return tuple(kind for part in union["oneOf"] for kind, name in mapping.items() if name == part["$ref"])


def problems_of(error: ValidationError) -> list[Problem]:
    """Return one problem for each error, in the order of the spec."""
    errors = error.errors(include_url=False)
    return [_problem_of(details) for details in errors if not _is_consequence(details, errors)]


def _is_consequence(details: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Return whether a list is too short only because pydantic left out items that have errors of their own."""
    location = details["loc"]
    return details["type"] == "too_short" and any(
        len(other["loc"]) > len(location) and other["loc"][: len(location)] == location for other in errors
    )


def _problem_of(details: ErrorDetails) -> Problem:
    location, kind = details["loc"], details["type"]
    field, given = _field_path(location), _shorten(details["input"])
    message = details["msg"].removeprefix("Value error, ")
    facts: dict[str, Any] = details.get("ctx", {})
    if kind == "value_error" and message.startswith("@"):
        _, field, message = message.split("@", 2)
        return Problem(field, "", message)
    if kind == "missing":
        return Problem(field, "", "an item is missing here" if isinstance(location[-1], int) else _MESSAGES[kind])
    if kind == "union_tag_not_found":
        allowed = ", ".join(variants_by_field()[_holder(location, len(location) - 1)])
        return Problem(field, given, f"{facts['discriminator']} is missing; allowed: {allowed}")
    if kind == "string_pattern_mismatch":
        return Problem(field, given, _PATTERNS.get(facts["pattern"], message))
    if kind == "extra_forbidden":
        return Problem(field, given, _MESSAGES[kind] + _suggest(str(location[-1])))
    if kind in _MESSAGES:
        return Problem(field, given, _MESSAGES[kind].format(**facts))
    return Problem(field, given, message[:1].lower() + message[1:])


def _suggest(name: str) -> str:
    """Return a question that names the spec's field which is nearly written like this one, or nothing."""
    near = [match for match in get_close_matches(name, field_names(), n=1, cutoff=0.8) if match != name]
    return f"; did you mean {near[0]}?" if near else ""


def _field_path(location: Location) -> str:
    kept = [part for index, part in enumerate(location) if not _is_variant(location, index)]
    return ".".join(str(part) for part in kept)


def _is_variant(location: Location, index: int) -> bool:
    """Return whether this part of a location is no field, but the kind of a union's value."""
    part, before = location[index], location[index - 1] if index else None
    if isinstance(before, int) and isinstance(part, str) and part.startswith("function-before["):
        return True
    return index > 0 and part in variants_by_field().get(_holder(location, index - 1), ())


def _holder(location: Location, index: int) -> str:
    """Return the field at this place of a location, or the one whose list has an item there."""
    return str(location[index - 1] if isinstance(location[index], int) else location[index])


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_GIVEN else text[: _MAX_GIVEN - 1] + "…"
