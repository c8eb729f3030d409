"""Which published experiment a spec repeats (no torch)."""

from typing import Annotated

from pydantic import Field

from ganlib.sections.base import Section


class RecipeSpec(Section):
    """Where an experiment was published, what came out and what it takes: for people, it changes nothing of a run.

    paper: authors, year and title. section: where the experiment stands in it, a number or words. expected: what
    the paper reports, and what we saw where it was run. cost: how long all iterations take, and on what.
    """

    paper: Annotated[str, Field(min_length=1, max_length=200)]
    section: Annotated[str, Field(min_length=1, max_length=100)]
    expected: Annotated[str, Field(min_length=1, max_length=600)]
    cost: Annotated[str, Field(min_length=1, max_length=200)]
