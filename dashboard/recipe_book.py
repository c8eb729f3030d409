"""The recipes that ship, read once: they are part of the package and never change."""

from functools import cache
from typing import Any

import yaml

import recipes

# Fifty files take the reader that is written in C a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def read_texts() -> dict[str, str]:
    """Return the recipes' texts by file name."""
    return recipes.read_texts()


@cache
def read_recipes() -> dict[str, dict[str, Any]]:
    """Return the specs of all recipes, unchecked, by name."""
    return {
        file.removesuffix(".yaml"): yaml.load(text, _LOADER)  # noqa: S506 (a SafeLoader)
        for file, text in read_texts().items()
    }
