"""Reads the iterations that a page shows logits and gradients of, and the axes of a heat map's image."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, Field

from dashboard.web.requests import read_iteration
from ganlib.events import FiniteFloat


@dataclass(frozen=True)
class Window:
    """The iterations after `first` up to `last`; None for an end that is not given."""

    first: int | None = None
    last: int | None = None

    def choose(self, iterations: list[int]) -> list[int]:
        """Return those of the rising iterations that lie in the window."""
        start = bisect_right(iterations, self.first) if self.first is not None else 0
        return iterations[start : bisect_right(iterations, self.last) if self.last is not None else None]


def read_window(request: Request) -> Window:
    """Return the iterations, `?from=` and `?to=`, whose histograms are shown."""
    return Window(read_iteration(request, "from"), read_iteration(request, "to"))


class HeatMapAxes(BaseModel):
    """The axes of a heat map: iterations from left to right, logits from bottom to top."""

    first: Annotated[int, Field(ge=0)]
    last: Annotated[int, Field(ge=0)]
    low: FiniteFloat
    high: FiniteFloat


AxesDep = Annotated[HeatMapAxes, Query()]
