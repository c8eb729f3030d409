"""Which images a run trains on."""

from typing import Annotated, Literal

from pydantic import Field

from ganlib.numbers import Count
from ganlib.sections.base import Section
from ganlib.shapes import Shape

# Shapes (channels, height, width) of the images as they lie on disk.
DATASET_SHAPES: dict[str, Shape] = {"mnist": (1, 28, 28), "digits": (1, 8, 8)}


class DatasetSpec(Section):
    """Real images. `size` resizes them to size×size pixels; without it they stay as they are on disk."""

    name: Literal["mnist", "digits"]
    size: Annotated[Count, Field(ge=4, le=256)] | None = None

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        channels, height, width = DATASET_SHAPES[self.name]
        return (channels, self.size or height, self.size or width)
