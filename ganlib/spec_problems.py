"""Turn pydantic's errors into problems that name the field, what was given and what is allowed."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ganlib.errors import Problem

_MAX_GIVEN = 80
# Parts of an error's location that name a variant of a union, not a field.
_VARIANT_PARTS = {
    "dense", "conv", "transposed_conv", "reshape", "flatten", "norm", "activation", "dropout", "noise",
    "function-before[expand_bare_name(), tagged-union]",
}  # fmt: skip


def problems_of(error: ValidationError) -> list[Problem]:
    """Return one problem for each error, in the order of the spec."""
    return [_problem_of(details) for details in error.errors(include_url=False)]


def _problem_of(details: ErrorDetails) -> Problem:
    field = _field_path(details["loc"])
    given = _shorten(details["input"])
    message = details["msg"].removeprefix("Value error, ")
    match details["type"]:
        case "extra_forbidden":
            return Problem(field, given, "there is no such field; remove it or correct its name")
        case "missing":
            return Problem(field, "", "this field is required")
        case "value_error" if message.startswith("@"):
            _, named, message = message.split("@", 2)
            return Problem(named, "", message)
        case "union_tag_not_found":
            return Problem(field, given, f"say which with {_discriminator(details)}; allowed: {_tags(details)}")
        case "union_tag_invalid":
            return Problem(field, given, f"{_discriminator(details)} is not known; allowed: {_tags(details)}")
        case "finite_number":
            return Problem(field, given, "a finite number is wanted, not NaN or infinity")
        case _:
            return Problem(field, given, message[:1].lower() + message[1:])


def _field_path(location: tuple[int | str, ...]) -> str:
    parts = list(location)
    kept = [part for index, part in enumerate(parts) if not _is_variant(parts, index)]
    return ".".join(str(part) for part in kept)


def _is_variant(parts: list[int | str], index: int) -> bool:
    part, before = parts[index], parts[index - 1] if index else None
    if isinstance(before, int) and isinstance(part, str):
        return part in _VARIANT_PARTS
    return before == "init" and part in {"normal", "default"}


def _discriminator(details: ErrorDetails) -> str:
    return str(details.get("ctx", {}).get("discriminator", "its kind"))


def _tags(details: ErrorDetails) -> str:
    allowed: Any = details.get("ctx", {}).get("expected_tags")
    return str(allowed) if allowed else details["msg"]


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_GIVEN else text[: _MAX_GIVEN - 1] + "…"
