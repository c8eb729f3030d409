"""Schemas of the check of a spec."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.server.http.schemas import Request, Schema

# The largest recipe has 4 kB.
MAX_TEXT = 65_536
MAX_CHANGES = 64


class SpecCheck(Request):
    """A spec's text, YAML or JSON, and fields to set in it, by their paths.

    A value that is text is read as YAML, unless its field is text; one that is empty becomes null. made_from: the
    job whose spec was changed; the answer then proposes a name that says what was changed.
    """

    text: Annotated[str, Field(max_length=MAX_TEXT)]
    changes: Annotated[dict[str, Any], Field(max_length=MAX_CHANGES)] = {}
    made_from: Annotated[str | None, Field(min_length=1, max_length=32, pattern=r"^[0-9a-z]+$")] = None


class ProblemRead(Schema):
    """A field that is wrong, "" for the text as a whole; what was given, and what is wrong with it."""

    field: str
    given: str
    message: str


class LayerRead(Schema):
    """A layer with all its fields, or as it was given where it cannot be read.

    shape: what comes out of it; null where it does not fit, and after that. problem: why it does not fit.
    """

    layer: dict[str, Any]
    shape: list[int] | None
    parameters: int
    problem: str


class NetworkRead(Schema):
    """One player's network. given and expected: the shapes of its two ends, null where they are unknown.

    preset: the name that the layers come from, or "". parameters: as far as the layers fit.
    """

    player: Literal["generator", "discriminator"]
    preset: str
    given: list[int] | None
    expected: list[int] | None
    meaning: str
    layers: list[LayerRead]
    parameters: int
    problem: ProblemRead | None


class EstimateRead(Schema):
    """About how long all iterations take: worked out of the networks, of a recipe's cost, or of a run like it."""

    seconds: float
    basis: Literal["networks", "recipe", "run"]
    text: str


class SpecReviewRead(Schema):
    """What a spec says, and what is wrong with it.

    text: the text with the changes in it, but for those of `refused`, which cannot be set. data: the spec with
    every default where it is valid, else what the text says, and null where it says nothing that can be read.
    name: says what was changed in the other job's spec, or "". estimate: null where the spec is not valid.
    """

    is_valid: bool
    text: str
    refused: list[str] = []
    data: dict[str, Any] | None
    name: str = ""
    problems: list[ProblemRead]
    networks: list[NetworkRead]
    estimate: EstimateRead | None
