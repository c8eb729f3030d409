"""Recipes: each is a spec that can be trained, and says what the experiment was."""

from pathlib import Path

import pytest

from ganlib.shapes import output_shape
from ganlib.spec import load_spec

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_there_are_recipes() -> None:
    assert {"winkler-mnist.yaml", "first-light.yaml"} <= {path.name for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_a_recipe_is_valid_named_like_its_file_and_says_where_it_is_from(path: Path) -> None:
    spec = load_spec(path)
    assert spec.name == path.stem
    assert spec.description
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_winklers_recipe_has_the_settings_as_printed() -> None:
    spec = load_spec(Path(__file__).parents[2] / "recipes" / "winkler-mnist.yaml")
    for optimiser in (spec.optimisers.generator, spec.optimisers.discriminator):
        assert (optimiser.learning_rate, optimiser.betas, optimiser.epsilon) == (1e-3, (0.5, 0.999), 1e-8)
    assert (spec.latents.size, spec.latents.distribution, spec.batch_size) == (96, "uniform", 64)
    assert spec.techniques == ()
    assert output_shape(spec.generator.layers, (96,)) == spec.dataset.shape == (1, 28, 28)


def test_the_demos_recipe_keeps_winklers_networks() -> None:
    folder = Path(__file__).parents[2] / "recipes"
    printed, demo = (load_spec(folder / name) for name in ("winkler-mnist.yaml", "first-light.yaml"))
    assert demo.generator.layers == printed.generator.layers
    assert demo.discriminator.layers == printed.discriminator.layers
