"""Turn pydantic's errors into problems that name the field, what was given and what is allowed."""

from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ganlib.errors import Problem

Location = tuple[int | str, ...]

_MAX_GIVEN = 80
# The kinds that each union of a spec knows, by the field that tells them apart.
# fmt: off
VARIANTS = {
    "layer": (
        "dense", "conv", "transposed_conv", "pool", "global_pool", "reshape", "flatten", "norm", "activation",
        "scale", "dropout", "noise", "minibatch_discrimination", "labels", "projection",
    ),
    "technique": (
        "ema_generator", "label_smoothing", "weight_clipping", "gradient_penalty", "r1",
        "feature_matching", "historical_averaging", "instance_noise", "diff_augment", "ema_discriminator",
    ),
    "name": ("mnist", "digits", "cifar10", "folder", "gaussians"),
}
# fmt: on

# The same for unions that `kind` tells apart, by the field that holds one.
KINDS = {
    "init": ("normal", "default"),
    "generator": ("adam", "sgd", "rmsprop"),
    "discriminator": ("adam", "sgd", "rmsprop"),
    "schedule": ("constant", "linear"),
    "classes": ("semi_supervised", "semi_supervised_fake_class", "shared_trunk", "auxiliary", "categories"),
}

# What each of pydantic's error types means to somebody who wrote a spec; {…} are the error's own facts.
_MESSAGES = {
    "bool_parsing": "true or false is wanted",
    "bool_type": "true or false is wanted",
    "dict_type": "a mapping of fields to values is wanted",
    "extra_forbidden": "there is no such field; remove it or correct its name",
    "finite_number": "a finite number is wanted, not NaN or infinity",
    "float_parsing": "a number is wanted",
    "float_type": "a number is wanted",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge:,}",
    "int_from_float": "a whole number is wanted",
    "int_parsing": "a whole number is wanted",
    "int_parsing_size": "a whole number is wanted, and not one of so many digits",
    "int_type": "a whole number is wanted",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le:,}",
    "literal_error": "is not known; allowed: {expected}",
    "missing": "this field is required",
    "model_attributes_type": "a mapping of fields to values is wanted",
    "model_type": "a mapping of fields to values is wanted",
    "string_too_long": "at most {max_length:,} characters are allowed",
    "string_type": "text is wanted",
    "too_long": "at most {max_length} items are allowed, not {actual_length}",
    "too_short": "at least {min_length} item is wanted",
    "tuple_type": "a list is wanted",
    "union_tag_invalid": "{discriminator} is not known; allowed: {expected_tags}",
}

# What the patterns of a spec's texts mean, by the error's pattern.
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,99}$": (
        "1 to 100 letters, digits, spaces, '.', '_' or '-' are allowed, a letter or digit first"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,49}$": (
        "1 to 50 letters, digits, '.', '_', ':', '/' or '-' are allowed, a letter or digit first"
    ),
}


def problems_of(error: ValidationError) -> list[Problem]:
    """Return one problem for each error, in the order of the spec."""
    found = error.errors(include_url=False)
    return [_problem_of(details) for details in found if not _is_consequence(details, found)]


def _is_consequence(details: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """Whether pydantic calls a list too short only because it left out the items that have errors of their own."""
    location = details["loc"]
    return details["type"] == "too_short" and any(
        len(other["loc"]) > len(location) and other["loc"][: len(location)] == location for other in found
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
        name = facts["discriminator"].strip("'")
        allowed = ", ".join(KINDS[str(location[-1])] if name == "kind" else VARIANTS[name])
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
    near = [match for match in get_close_matches(name, _field_names(), n=1, cutoff=0.8) if match != name]
    return f"; did you mean {near[0]}?" if near else ""


@cache
def _field_names() -> tuple[str, ...]:
    # Imported here, because the spec needs this module to say what is wrong with it.
    from ganlib.spec import JobSpec

    schema = JobSpec.model_json_schema()
    parts = (schema, *schema["$defs"].values())
    return tuple(sorted({name for part in parts for name in part.get("properties", {})}))


def _field_path(location: Location) -> str:
    kept = [part for index, part in enumerate(location) if not _is_variant(location, index)]
    return ".".join(str(part) for part in kept)


def _is_variant(location: Location, index: int) -> bool:
    part, before = location[index], location[index - 1] if index else None
    if isinstance(before, int) and isinstance(part, str):
        return part in VARIANTS["layer"] + VARIANTS["technique"] or part.startswith("function-before[")
    if index == 1 and before == "dataset":
        return part in VARIANTS["name"]
    return part in KINDS.get(str(before), ())


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_GIVEN else text[: _MAX_GIVEN - 1] + "…"
