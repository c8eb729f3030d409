"""Names that are nearly written like a misspelt one: `cifar-10` is near to `cifar10`."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

# Longer ones are no misspelt names, and comparing them would take long.
_MAX_LENGTH = 64
_SEPARATORS = re.compile(r"[-_ .:/]+")


def find_near(given: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """Return the known name that is nearest to the given one, None if none is near or it is known itself.

    Case and separators do not count. cutoff: the least likeness, from 0 to 1, as difflib measures it.
    """
    if not 0 < len(given) <= _MAX_LENGTH:
        return None
    by_shape: dict[str, str] = {}
    for name in known:
        if name == given:
            return None
        by_shape.setdefault(_shape(name), name)
    shape = _shape(given)
    # Two letters of a short name the other way round are hardly alike to difflib.
    swapped = [known for known in by_shape if sorted(known) == sorted(shape)]
    near = swapped or get_close_matches(shape, by_shape, n=1, cutoff=cutoff)
    return by_shape[near[0]] if near else None


def ask_near(given: str, known: Iterable[str], cutoff: float = 0.7) -> str:
    """Return "; did you mean cifar10?" for the nearest known name, or an empty text."""
    near = find_near(given, known, cutoff)
    return f"; did you mean {near}?" if near else ""


def _shape(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold() or name
