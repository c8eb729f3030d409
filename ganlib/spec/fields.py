"""Number types and the base class of a spec's sections: finite, bounded, no unknown fields."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def refuse_boolean(value: Any) -> Any:
    """Refuse true and false, which Python would count as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Integer = Annotated[int, BeforeValidator(refuse_boolean)]
Float = Annotated[float, BeforeValidator(refuse_boolean), Field(allow_inf_nan=False)]
Natural = Annotated[Integer, Field(ge=0)]
Count = Annotated[Integer, Field(ge=1)]
Fraction = Annotated[Float, Field(ge=0, le=1)]
Positive = Annotated[Float, Field(gt=0)]


class Section(BaseModel):
    """Part of a spec: unknown fields are errors, floats are finite, nothing changes afterwards."""

    # Deferred: most processes use few of the sections.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
