"""Techniques: each is one file with its section of the spec, its checks and its slots of the trainer.

The files of this folder are found when the package is imported, without PyTorch: a file imports that in the
methods that compute. `TechniqueSpec` is the union of all sections, told apart by `technique`.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from ganlib.techniques.base import TechniqueSection


def _find_sections() -> dict[str, type[TechniqueSection]]:
    """Import all files of the folder and return their sections by the names that a spec gives, in listed order."""
    sections: dict[str, type[TechniqueSection]] = {}
    for file in iter_modules(__path__, f"{__name__}."):
        for value in vars(import_module(file.name)).values():
            is_section = isinstance(value, type) and issubclass(value, TechniqueSection)
            if is_section and value.__module__ == file.name and value is not TechniqueSection:
                sections[value.model_fields["technique"].default] = value
    return dict(sorted(sections.items(), key=lambda item: (item[1].position, item[0])))


TECHNIQUES = _find_sections()

if TYPE_CHECKING:
    TechniqueSpec = TechniqueSection
else:
    TechniqueSpec = Annotated[Union[tuple(TECHNIQUES.values())], Field(discriminator="technique")]  # noqa: UP007
