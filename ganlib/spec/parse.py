"""Parse and check specs; errors name the field, what was given and what is allowed (no torch).

`parse_spec` takes what YAML or JSON gave; `load_spec` reads a file. Both raise SpecInvalid.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from reprlib import Repr
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ganlib.errors import Problem, SpecInvalid
from ganlib.spec.checks.fields import find_problem
from ganlib.spec.checks.networks import NetworkOutline, outline_networks
from ganlib.spec.documents.suggestions import ask_near, find_near
from ganlib.spec.files import read_spec_file
from ganlib.spec.job import JobSpec
from ganlib.spec.layers import BARE_NAMES
from ganlib.spec.paths import list_fields, list_fields_of
from ganlib.spec.presets import PRESETS
from ganlib.spec.shapes import estimate_iteration
from ganlib.spec.storable import UNSTORABLE_TEXT, find_unstorable

Location = tuple[int | str, ...]

# Whoever wrote a spec reads the first ones; thousands of them would fill a screen and cost seconds.
MAX_PROBLEMS = 20
_MAX_GIVEN = 80
_MAX_FIELD = 200
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, _MAX_GIVEN, _MAX_GIVEN
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 20
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
    "string_type": "must be text; put it in quotes",
    "string_unicode": UNSTORABLE_TEXT,
    "too_long": "must have at most {max_length} items, not {actual_length}",
    "too_short": "must have at least {min_length} item",
    "tuple_type": "must be a list",
    "union_tag_invalid": "{discriminator} is not known; allowed: {expected_tags}",
}

# The patterns of a spec's texts in words.
_PATTERNS = {
    r"^[0-9a-f]{7,40}$": "must be the first 7 to 40 digits of a commit, 0 to 9 and a to f",
    r"^(generator|discriminator)\.layers\.(0|[1-9][0-9]{0,2})$": (
        "must be the path of a layer, such as discriminator.layers.1, counted from 0"
    ),
}


def parse_spec(data: Any) -> JobSpec:
    """Check what YAML or JSON gave and return the spec; raises SpecInvalid."""
    if not isinstance(data, dict):
        shown = type(data).__name__ if data is not None else "nothing"
        raise SpecInvalid([Problem("", shown, "a spec is a mapping of fields to values")])
    try:
        spec = JobSpec.model_validate(data)
    except ValidationError as error:
        beside = [network.problem for network in outline_networks(data) if network.problem is not None]
        raise SpecInvalid([*problems_of(error), *beside]) from None
    problem = find_unstorable(data) or find_problem(spec)
    if problem is not None:
        raise SpecInvalid([problem])
    return spec


@dataclass(frozen=True)
class SpecReview:
    """A spec that may be wrong: the spec, or None and all its problems; both networks as far as they fit.

    iteration_seconds: about what an iteration takes on one CPU core, None where the spec is wrong.
    """

    spec: JobSpec | None
    problems: list[Problem]
    networks: list[NetworkOutline]
    iteration_seconds: float | None


def review_spec(data: Any) -> SpecReview:
    """Check what YAML or JSON gave and outline it, whatever is wrong with it."""
    networks = outline_networks(data) if isinstance(data, dict) else []
    try:
        spec = parse_spec(data)
    except SpecInvalid as error:
        return SpecReview(None, error.problems, networks, None)
    generator, discriminator = (network.work for network in networks)
    steps, advantage = spec.discriminator_steps, spec.generator_advantage
    seconds = estimate_iteration(generator, discriminator, spec.batch_size, steps, advantage)
    return SpecReview(spec, [], networks, seconds)


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
def _all_properties() -> list[dict[str, Any]]:
    schema = JobSpec.model_json_schema()
    return [part.get("properties", {}) for part in (schema, *schema["$defs"].values())]


def _kinds_of(union: dict[str, Any]) -> tuple[str, ...]:
    """Return the values of a union's discriminator; one part may have several."""
    mapping: dict[str, str] = union["discriminator"]["mapping"]
    return tuple(kind for part in union["oneOf"] for kind, name in mapping.items() if name == part["$ref"])


@cache
def _discriminators() -> dict[str, str]:
    """Return the field that names the kind, such as `technique`, by the field that holds such a union."""
    names: dict[str, str] = {}
    for properties in _all_properties():
        for field, schema in properties.items():
            for part in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
                if "discriminator" in part:
                    names[field] = part["discriminator"]["propertyName"]
    return names


def problems_of(error: ValidationError) -> list[Problem]:
    """Return one problem for each error, in the order of the spec: the first MAX_PROBLEMS, and how many more."""
    errors = error.errors(include_url=False)
    holders: set[Location] = {part for details in errors for part in accumulate((p,) for p in details["loc"][:-1])}
    own = [details for details in errors if not _is_consequence(details, holders)]
    problems = [_problem_of(details) for details in own[:MAX_PROBLEMS]]
    more = len(own) - MAX_PROBLEMS
    return problems + ([Problem("", "", f"and {more:,} more; correct these first")] if more > 0 else [])


def _is_consequence(details: ErrorDetails, holders: set[Location]) -> bool:
    """Return whether a list is too short only because pydantic left out items that have errors of their own.

    holders: the locations that have errors below them.
    """
    return details["type"] == "too_short" and details["loc"] in holders


def _problem_of(details: ErrorDetails) -> Problem:
    location, kind = details["loc"], details["type"]
    field, given = _field_path(location), show_given(details["input"])
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
        return Problem(field, given, _MESSAGES[kind] + _suggest_field(location))
    if kind in _MESSAGES:
        return Problem(field, given, _MESSAGES[kind].format(**facts) + _suggest(details))
    return Problem(field, given, message[:1].lower() + message[1:])


def _suggest(details: ErrorDetails) -> str:
    """Return what may have been meant: a known name, or the long form of one that stands alone; or nothing."""
    kind, location, facts = details["type"], details["loc"], details.get("ctx", {})
    if kind == "literal_error":
        return ask_near(str(details["input"]), re.findall(r"'([^']*)'", facts["expected"]))
    if kind == "union_tag_invalid":
        tag, known = str(facts["tag"]), re.findall(r"'([^']*)'", facts["expected_tags"])
        if facts["discriminator"] == "'layer'" and tag in BARE_NAMES:
            return f"; write {tag} alone"
        return ask_near(tag, known)
    given = details["input"]
    if kind in ("model_attributes_type", "model_type", "dict_type") and isinstance(given, str):
        return _suggest_mapping(given, location)
    return ""


def _suggest_mapping(given: str, location: Location) -> str:
    """Return the mapping that a name alone may stand for."""
    if location in (("generator",), ("discriminator",)):
        key, known = "preset", tuple(PRESETS)
    else:
        holder = _holder(location, len(location) - 1)
        key, known = _discriminators().get(holder, ""), variants_by_field().get(holder, ())
    name = given if given in known else find_near(given, known)
    return f", such as {{{key}: {name}}}" if name else ""


def _suggest_field(location: Location) -> str:
    """Return the section's field that is nearly written like this one, or where there is one of this name."""
    name = str(location[-1])
    near = find_near(name, list_fields_of(_field_parts(location[:-1])))
    if near:
        return f"; did you mean {near}?"
    elsewhere = [path for path in list_fields() if path.rpartition(".")[2] == name]
    return f"; did you mean {elsewhere[0]}?" if elsewhere else ""


def _field_path(location: Location) -> str:
    path = ".".join(str(part) for part in _field_parts(location))
    return path if len(path) <= _MAX_FIELD else path[: _MAX_FIELD - 1] + "…"


def _field_parts(location: Location) -> Sequence[int | str]:
    """Return the location without the kinds of unions."""
    return [part for index, part in enumerate(location) if not _is_variant(location, index)]


def _is_variant(location: Location, index: int) -> bool:
    """Return whether this part of a location is no field, but the kind of a union's value."""
    part, before = location[index], location[index - 1] if index else None
    if isinstance(before, int) and isinstance(part, str) and part.startswith("function-before["):
        return True
    return index > 0 and part in variants_by_field().get(_holder(location, index - 1), ())


def _holder(location: Location, index: int) -> str:
    """Return the field at this place of a location, or the one whose list has an item there."""
    return str(location[index - 1] if isinstance(location[index], int) else location[index])


def show_given(value: Any) -> str:
    """Return the beginning of a value as text, however large the value is."""
    text = repr(value[: _MAX_GIVEN + 1]) if isinstance(value, str) else _SHORT.repr(value)
    return text if len(text) <= _MAX_GIVEN else text[: _MAX_GIVEN - 1] + "…"
