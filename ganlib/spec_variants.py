"""What a spec's unions and fields are called, read from the spec itself (no torch)."""

from functools import cache
from typing import Any


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
    # Imported here, because the spec needs this module to say what is wrong with it.
    from ganlib.spec import JobSpec

    schema = JobSpec.model_json_schema()
    return [part.get("properties", {}) for part in (schema, *schema["$defs"].values())]


def _kinds_of(union: dict[str, Any]) -> tuple[str, ...]:
    """Return the values of the field that tells the parts of a union apart; one part may have several."""
    mapping: dict[str, str] = union["discriminator"]["mapping"]
    return tuple(kind for part in union["oneOf"] for kind, name in mapping.items() if name == part["$ref"])
