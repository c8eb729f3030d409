"""Recipes: each is a spec that can be trained, and says what the experiment was."""

import re
from pathlib import Path

import pytest

from ganlib.spec.parse import load_spec
from ganlib.spec.shapes import output_shape, trace_shapes

RECIPES = sorted((Path(__file__).parents[3] / "recipes").glob("*.yaml"))


def test_there_are_recipes() -> None:
    assert {"winkler-mnist.yaml", "first-light.yaml"} <= {path.name for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_a_recipe_is_valid_named_like_its_file_and_says_where_it_is_from(path: Path) -> None:
    spec = load_spec(path)
    assert spec.name == path.stem
    assert spec.description
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    # How far it was run: all of it, or so many iterations and no more than there are.
    run = re.search(r"^# Run here: (?:all |the first )?([\d,]+|one) iterations?\b", text, re.MULTILINE)
    assert run is not None
    done = 1 if run[1] == "one" else int(run[1].replace(",", ""))
    assert done == spec.iterations if " all " in run[0] else done <= spec.iterations


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


def test_the_posters_recipes_are_one_network_and_what_each_adds() -> None:
    plain_generator, plain_discriminator = layers_of("poster-dcgan")
    assert layers_of("poster-feature-matching") == (plain_generator, plain_discriminator)
    assert layers_of("poster-conditional-dcgan") == (
        ["labels", *plain_generator],
        ["labels", *plain_discriminator],
    )
    assert layers_of("poster-minibatch-discrimination") == (
        plain_generator,
        [*plain_discriminator[:-1], "minibatch_discrimination", "dense"],
    )
    spec = load_spec(Path(__file__).parents[3] / "recipes" / "poster-feature-matching.yaml")
    (matching,) = spec.techniques
    # 4,096 features of the last hidden layer: a weight near 1 would replace the loss that they are added to.
    assert (matching.mode, matching.weight) == ("add", 0.01)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "maps"), [("winkler-grey-cifar", 40), ("winkler-colour-cifar", 40), ("winkler-cifar", 128)]
)
def test_winklers_networks_for_cifar_begin_as_printed(name: str, maps: int) -> None:
    layers = load_spec(Path(__file__).parents[3] / "recipes" / f"{name}.yaml").generator.layers
    assert trace_shapes(layers, (96,))[6] == (maps, 8, 8)


def test_the_wider_discriminator_is_as_wide_as_the_generator() -> None:
    folder = Path(__file__).parents[3] / "recipes"
    usual, wide = (load_spec(folder / f"winkler-two-layers{end}.yaml") for end in ("", "-wide"))
    assert layers_of("winkler-two-layers") == layers_of("winkler-two-layers-wide")
    assert wide.generator == usual.generator
    for spec, width in ((usual, 256), (wide, 1024)):
        assert [layer.size for layer in spec.discriminator.layers if layer.layer == "dense"] == [width, width, 1]


def test_the_exact_classifier_pools_where_the_inferred_network_strides() -> None:
    spec = load_spec(Path(__file__).parents[3] / "recipes" / "winkler-exact-classifier.yaml")
    shapes = trace_shapes(spec.discriminator.layers, (1, 28, 28))
    assert shapes[0] == (20, 24, 24)
    assert [shape for shape in shapes if len(shape) == 3][-1] == (40, 4, 4)
    assert shapes[-4:] == [(100,), (100,), (100,), (1,)]
