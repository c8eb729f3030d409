"""What all parts of a spec have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Part of a spec: unknown fields are errors, floats are finite, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
