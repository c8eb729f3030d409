"""Which images a run trains on, and their shape: known without reading them (no torch)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ganlib.numbers import Count
from ganlib.sections.base import Section
from ganlib.shapes import Shape

Size = Annotated[Count, Field(ge=4, le=256)]
Colour = Literal["grey", "rgb"]

_CHANNELS: dict[Colour, int] = {"grey": 1, "rgb": 3}


def refuse_outside_path(path: str) -> str:
    """Refuse whatever could name a file outside the data folders, and a second spelling of the same path."""
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or any(not part or part.startswith((".", "~")) for part in parts):
        raise ValueError(
            "a path below the data folder is wanted, such as faces or faces.zip: relative, with '/' between its "
            "parts, none of which begins with '.' or '~'"
        )
    return path


DataPath = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(refuse_outside_path)]


class MnistSpec(Section):
    """MNIST's 60,000 training images, 28×28 grey; `size` resizes them to size×size pixels."""

    name: Literal["mnist"] = "mnist"
    size: Size | None = None

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        return (1, self.size or 28, self.size or 28)


class DigitsSpec(Section):
    """scikit-learn's 1,797 digits, 8×8 grey; `size` resizes them to size×size pixels."""

    name: Literal["digits"] = "digits"
    size: Size | None = None

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        return (1, self.size or 8, self.size or 8)


class Cifar10Spec(Section):
    """CIFAR-10's 50,000 training images, 32×32, in colour or as their luminosity."""

    name: Literal["cifar10"] = "cifar10"
    size: Size | None = None
    colour: Colour = "rgb"

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        return (_CHANNELS[self.colour], self.size or 32, self.size or 32)


class FolderSpec(Section):
    """A folder or zip of images below the data folders: the middle square of each, resized to size×size."""

    name: Literal["folder"] = "folder"
    path: DataPath
    size: Size
    colour: Colour = "rgb"

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        return (_CHANNELS[self.colour], self.size, self.size)


DatasetSpec = Annotated[MnistSpec | DigitsSpec | Cifar10Spec | FolderSpec, Field(discriminator="name")]
