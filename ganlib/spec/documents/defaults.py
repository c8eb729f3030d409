"""A spec without what its defaults say anyway."""

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel


def omit_defaults(model: BaseModel) -> dict[str, Any]:
    """Return the fields of a parsed spec that differ from their defaults, as JSON has them; they make it again.

    Kinds of sections, such as `layer: dense`, stay.
    """
    kept: dict[str, Any] = _prune(model, model.model_dump(mode="json"))
    return kept


def _prune(value: Any, dumped: Any) -> Any:
    if isinstance(value, BaseModel):
        return {
            name: _prune(getattr(value, name), dumped[name])
            for name, field in type(value).model_fields.items()
            if _is_kind(field.annotation)
            or field.is_required()
            or getattr(value, name) != field.get_default(call_default_factory=True, validated_data={})
        }
    if isinstance(value, (list, tuple)):
        return [_prune(item, part) for item, part in zip(value, dumped, strict=True)]
    return dumped


def _is_kind(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1
