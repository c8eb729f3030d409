"""Data sets, with the shape and classes of their images, known without reading them (no torch)."""

from math import isqrt
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ganlib.spec.fields import Count, Float, Natural, Section
from ganlib.spec.shapes import Shape

Size = Annotated[Count, Field(ge=4, le=256)]
Colour = Literal["grey", "rgb"]
Layout = Literal["ring", "grid"]

_CHANNELS: dict[Colour, int] = {"grey": 1, "rgb": 3}


def refuse_outside_path(path: str) -> str:
    """Refuse whatever could name a file outside the data folders, and a second spelling of the same path."""
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or any(not part or part.startswith((".", "~")) for part in parts):
        raise ValueError(
            "must be a path below the data folder, such as faces or faces.zip: relative, with '/' between its "
            "parts, none of which begins with '.' or '~'"
        )
    return path


DataPath = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(refuse_outside_path)]


class _Images(Section):
    """Fields of all data sets.

    labels: the number of training images that keep their label, as many of each class, drawn from the run's seed;
    without it all of them do. validation: how many training images are held out of training, as many of each
    class, drawn from the run's seed.
    """

    labels: Annotated[Count, Field(le=10_000_000)] | None = None
    validation: Annotated[Natural, Field(le=10_000_000)] = 0

    @property
    def class_count(self) -> int:
        """The number of classes; 0 where it is not known without reading the images."""
        return 10

    @model_validator(mode="after")
    def check_labels(self) -> Self:
        """Each class needs a label at least."""
        if self.labels is not None and self.labels < self.class_count:
            raise ValueError(
                f"@dataset.labels@{self.labels} labels are too few for {self.class_count} classes: "
                "each needs one at least"
            )
        if 0 < self.validation < self.class_count:
            raise ValueError(
                f"@dataset.validation@{self.validation} images are too few for {self.class_count} classes: "
                "each needs one at least"
            )
        return self


class MnistSpec(_Images):
    """MNIST's 60,000 training images, 28×28 grey; `size` resizes them to size×size pixels."""

    name: Literal["mnist"] = "mnist"
    size: Size | None = None

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        return (1, self.size or 28, self.size or 28)


class DigitsSpec(_Images):
    """scikit-learn's 1,797 digits, 8×8 grey; `size` resizes them to size×size pixels."""

    name: Literal["digits"] = "digits"
    size: Size | None = None

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        return (1, self.size or 8, self.size or 8)


class Cifar10Spec(_Images):
    """CIFAR-10's 50,000 training images, 32×32, in colour or as their luminosity."""

    name: Literal["cifar10"] = "cifar10"
    size: Size | None = None
    colour: Colour = "rgb"

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        return (_CHANNELS[self.colour], self.size or 32, self.size or 32)


class FolderSpec(_Images):
    """A folder or zip of images below the data folders: the middle square of each, resized to size×size.

    classes: how many folders of images there are; only runs that use labels need it.
    """

    name: Literal["folder"] = "folder"
    path: DataPath
    size: Size
    colour: Colour = "rgb"
    classes: Annotated[Count, Field(le=10_000)] | None = None

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        return (_CHANNELS[self.colour], self.size, self.size)

    @property
    def class_count(self) -> int:
        """The number of classes that the spec gives, 0 without one."""
        return self.classes or 0


class GaussiansSpec(_Images):
    """A mixture of Gaussians, made as it is read: each image is a point, drawn as a blob; its mode is its class.

    The modes lie on a ring or a grid that reaches from −0.6 to 0.6 on a picture that reaches from −1 to 1; `std`
    is the standard deviation of the points around their mode, in the same unit. There are `count` images to train
    on, and a fifth as many to test on; all of them follow from these fields, whatever the run's seed.
    """

    name: Literal["gaussians"] = "gaussians"
    layout: Layout = "ring"
    modes: Annotated[Count, Field(ge=2, le=100)] = 8
    std: Annotated[Float, Field(ge=0, le=0.5)] = 0.05
    size: Annotated[Count, Field(ge=8, le=32)] = 16
    count: Annotated[Count, Field(ge=500, le=100_000)] = 10_000

    @property
    def shape(self) -> Shape:
        """Shape (channels, height, width) of one image."""
        return (1, self.size, self.size)

    @property
    def class_count(self) -> int:
        """Each mode is a class."""
        return self.modes

    @model_validator(mode="after")
    def check_grid(self) -> Self:
        """A grid has as many rows as columns."""
        if self.layout == "grid" and isqrt(self.modes) ** 2 != self.modes:
            raise ValueError(
                f"@dataset.modes@a grid needs a square number of modes, such as 4 or 9, not {self.modes}"
            )
        return self


DatasetSpec = Annotated[
    MnistSpec | DigitsSpec | Cifar10Spec | FolderSpec | GaussiansSpec, Field(discriminator="name")
]
