"""The time that a spec would take: by its networks' work, or by what a recipe or a run like it took.

It needs neither the database nor HTTP: `ganvas validate` tells it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import recipes
from ganlib.errors import SpecInvalid
from ganlib.spec.files import read_spec_text
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import SpecReview, review_spec

Basis = Literal["networks", "recipe", "run"]
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_WHERE: dict[Basis, str] = {"networks": "on one CPU core", "recipe": "on one CPU core", "run": "here"}


@dataclass(frozen=True)
class Pace:
    """The seconds of an iteration of a run with these networks, and the run's name."""

    seconds: float
    run: str


@dataclass(frozen=True)
class Estimate:
    """About how many seconds all iterations take, and what that was worked out from."""

    seconds: float
    basis: Basis
    text: str


def estimate(review: SpecReview, pace: Pace | None = None) -> Estimate | None:
    """Return the time of a spec's iterations, or None of one that is wrong.

    A run that this service has seen says it best. What a recipe costs, as its file says, corrects the guess for
    whatever was changed in it.
    """
    spec, seconds = review.spec, review.iteration_seconds
    if spec is None or seconds is None:
        return None
    basis: Basis = "networks"
    if pace is not None:
        seconds, basis = pace.seconds, "run"
    elif (factor := _find_factor(spec)) is not None:
        seconds, basis = seconds * factor, "recipe"
    total = seconds * spec.iterations
    return Estimate(total, basis, f"about {say_time(total)} {_WHERE[basis]}")


def say_time(seconds: float) -> str:
    """Return a rough time in words: 7 min, 1.5 h, 4 days."""
    if seconds < _MINUTE - 0.5:
        return f"{max(1, round(seconds))} s"
    for size, unit, least in ((_DAY, "days", 2 * _DAY), (_HOUR, "h", 1.5 * _HOUR), (_MINUTE, "min", 0.0)):
        if seconds >= least:
            number = seconds / size
            return (
                f"{number:.1f}".removesuffix(".0") + f" {unit}"
                if number < 10 and size > _MINUTE
                else f"{number:.0f} {unit}"
            )
    raise ValueError(seconds)


def _find_factor(spec: JobSpec) -> float | None:
    """Return how many times as long an iteration of the spec's recipe took as its networks let one expect."""
    facts = spec.recipe
    return None if facts is None else _factors().get((facts.paper, facts.section, facts.expected, facts.cost))


@cache
def _factors() -> Mapping[tuple[str, ...], float]:
    """Return of each recipe that ships, by what it says of itself, its cost over the guess."""
    factors: dict[tuple[str, ...], float] = {}
    for file, text in recipes.read_texts().items():
        review = _review(text, file)
        if review is None or review.spec is None or review.iteration_seconds is None:
            continue
        facts = review.spec.recipe
        if facts is not None and facts.seconds is not None:
            guess = review.iteration_seconds * review.spec.iterations
            factors[facts.paper, facts.section, facts.expected, facts.cost] = facts.seconds / guess
    return factors


def _review(text: str, name: str) -> SpecReview | None:
    try:
        data: dict[str, Any] = read_spec_text(text, name)
    except SpecInvalid:
        return None
    return review_spec(data)
