"""What a spec says of the experiment that it repeats."""

from collections.abc import Callable
from typing import Any

import pytest

from ganlib.errors import SpecInvalid
from ganlib.spec.job import training_identity
from ganlib.spec.parse import parse_spec

MakeData = Callable[..., dict[str, Any]]

RECIPE = {
    "paper": "A. Author (2018), On things",
    "section": "4.2, table 3",
    "expected": "Digits that can be read.",
    "cost": "3 min on one CPU core",
}


def test_a_recipe_is_kept_with_the_spec_and_changes_nothing_of_the_run(make_spec_data: MakeData) -> None:
    spec = parse_spec(make_spec_data(recipe=RECIPE))
    plain = parse_spec(make_spec_data())
    assert spec.model_dump(mode="json")["recipe"] == RECIPE
    assert plain.recipe is None
    assert (
        training_identity(spec)
        == training_identity(plain)
        != training_identity(plain.model_copy(update={"seed": 1}))
    )


@pytest.mark.parametrize(
    ("recipe", "field", "words"),
    [
        ({key: RECIPE[key] for key in ("paper", "section", "expected")}, "recipe.cost", "this field is required"),
        ({**RECIPE, "paper": "a" * 201}, "recipe.paper", "must have at most 200 characters"),
        ({**RECIPE, "section": ""}, "recipe.section", "at least 1 character"),
        ({**RECIPE, "section": 4.7}, "recipe.section", "must be text"),
        ({**RECIPE, "costs": "1 h"}, "recipe.costs", "did you mean cost?"),
        ("Author (2018)", "recipe", "must be a mapping of fields to values"),
    ],
)
def test_a_recipe_that_says_too_little_or_too_much_is_refused(
    make_spec_data: MakeData, recipe: Any, field: str, words: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec_data(recipe=recipe))
    (problem,) = caught.value.problems
    assert (problem.field, words in problem.message) == (field, True), problem
