"""Recipes: each is a spec that can be trained, and says what the experiment was."""

import re
from pathlib import Path

import pytest

from ganlib.spec.parse import load_spec
from ganlib.spec.shapes import output_shape

RECIPES = sorted((Path(__file__).parents[3] / "recipes").glob("*.yaml"))


def test_there_are_recipes() -> None:
    assert {"winkler-mnist.yaml", "first-light.yaml"} <= {path.name for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_a_recipe_is_valid_named_like_its_file_and_says_where_it_is_from(path: Path) -> None:
    spec = load_spec(path)
    assert spec.name == path.stem
    assert spec.description
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_a_recipe_says_what_it_repeats_what_comes_out_and_what_it_costs(path: Path) -> None:
    recipe = load_spec(path).recipe
    assert recipe is not None
    # Author and year; two of the sources give no year.
    assert re.search(r"\((19|20)\d\d\)|Weaver|\(poster\)", recipe.paper)
    assert re.match(r"(about )?\d[\d.]* (s|min|h) for [\d,]+ iterations on one CPU core", recipe.cost)
    assert f"{load_spec(path).iterations:,} iterations" in recipe.cost


def test_winklers_recipe_has_the_settings_as_printed() -> None:
    spec = load_spec(Path(__file__).parents[3] / "recipes" / "winkler-mnist.yaml")
    for optimiser in (spec.optimisers.generator, spec.optimisers.discriminator):
        assert (optimiser.learning_rate, optimiser.betas, optimiser.epsilon) == (1e-3, (0.5, 0.999), 1e-8)
    assert (spec.latents.size, spec.latents.distribution, spec.batch_size) == (96, "uniform", 64)
    assert spec.techniques == ()
    assert output_shape(spec.generator.layers, (96,)) == spec.dataset.shape == (1, 28, 28)


def test_the_demos_recipe_keeps_winklers_networks() -> None:
    folder = Path(__file__).parents[3] / "recipes"
    printed, demo = (load_spec(folder / name) for name in ("winkler-mnist.yaml", "first-light.yaml"))
    assert demo.generator.layers == printed.generator.layers
    assert demo.discriminator.layers == printed.discriminator.layers


def layers_of(name: str) -> tuple[list[str], list[str]]:
    """Return the kinds of layers of both networks, the generator's first."""
    spec = load_spec(Path(__file__).parents[3] / "recipes" / f"{name}.yaml")
    generator, discriminator = (
        [getattr(layer, "kind", layer.layer) for layer in network.layers]
        for network in (spec.generator, spec.discriminator)
    )
    return generator, discriminator


def test_the_one_layer_networks_differ_in_their_activation_and_learning_rate_alone() -> None:
    for name, rate, activation in (
        ("winkler-one-layer", 0.3, "sigmoid"),
        ("winkler-one-layer-relu", 0.1, "relu"),
        ("winkler-one-layer-leaky-relu", 0.1, "leaky_relu"),
    ):
        spec = load_spec(Path(__file__).parents[3] / "recipes" / f"{name}.yaml")
        assert spec.optimisers.generator == spec.optimisers.discriminator
        assert (spec.optimisers.generator.kind, spec.optimisers.generator.learning_rate) == ("sgd", rate)
        assert spec.batch_size == 128
        assert layers_of(name) == (
            ["dense", activation, "dense", activation, "reshape", "scale"],
            ["scale", "dense", activation, "dense"],
        )


def test_each_ablation_takes_out_what_it_says_and_nothing_else() -> None:
    generator, discriminator = layers_of("winkler-more-filters")
    plain_generator = [kind for kind in generator if kind != "dropout"]
    plain_discriminator = [kind for kind in discriminator if kind != "dropout"]
    without_norm = [kind for kind in plain_generator if kind != "batch"]
    assert layers_of("winkler-no-dropout") == (plain_generator, plain_discriminator)
    discriminator_without_norm = [kind for kind in plain_discriminator if kind != "batch"]
    assert layers_of("winkler-no-norm-discriminator") == (plain_generator, discriminator_without_norm)
    # The ablations follow one another: here the discriminator has lost its batch norm already.
    assert layers_of("winkler-no-norm-generator") == (without_norm, discriminator_without_norm)
    assert layers_of("winkler-no-norm-leaky-generator") == (
        ["leaky_relu" if kind == "relu" else kind for kind in without_norm],
        discriminator_without_norm,
    )
