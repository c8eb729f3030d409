"""Semi-supervised recipes: what the papers and the released code print, and the classifiers beside them."""

from pathlib import Path

import pytest

from ganlib.spec.job import JobSpec
from ganlib.spec.layers import Activation, Conv, Dense, Dropout, Noise
from ganlib.spec.parse import load_spec
from ganlib.techniques.ema_discriminator import EmaDiscriminatorSpec
from ganlib.techniques.feature_matching import FeatureMatchingSpec

FOLDER = Path(__file__).parents[3] / "recipes"


def recipe(name: str) -> JobSpec:
    return load_spec(FOLDER / f"{name}.yaml")


def feature_matching(spec: JobSpec) -> FeatureMatchingSpec:
    return next(part for part in spec.techniques if isinstance(part, FeatureMatchingSpec))


def test_salimans_mnist_classifier_is_that_of_the_released_code() -> None:
    spec = recipe("salimans-mnist-100")
    layers = spec.discriminator.layers
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    assert [layer.size for layer in dense] == [1000, 500, 250, 250, 250, 10]
    assert [layer.weights for layer in dense] == ["weight_norm_fixed"] * 5 + ["weight_norm"]
    assert [layer.std for layer in layers if isinstance(layer, Noise)] == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert (spec.dataset.labels, spec.batch_size, spec.discriminator.reference_size) == (100, 100, 500)


def test_salimans_mnist_features_are_those_before_the_last_noise() -> None:
    spec = recipe("salimans-mnist-100")
    matching = feature_matching(spec)
    assert matching.layer is not None
    here, after = spec.discriminator.layers[matching.layer : matching.layer + 2]
    assert isinstance(here, Activation)
    assert isinstance(after, Noise)
    # The released code takes the mean over the 250 features, feature_matching their sum.
    assert (matching.distance, matching.mode) == ("squared_l2", "replace")
    assert matching.weight == pytest.approx(1 / 250)


def test_salimans_cifar_classifier_is_that_of_the_released_code() -> None:
    spec = recipe("salimans-cifar-4000")
    convolutions = [layer for layer in spec.discriminator.layers if isinstance(layer, Conv)]
    assert [layer.size for layer in convolutions] == [96] * 3 + [192] * 6
    assert [layer.stride for layer in convolutions] == [1, 1, 2, 1, 1, 2, 1, 1, 1]
    assert [layer.kernel for layer in convolutions] == [3] * 7 + [1] * 2
    dropout = [layer.probability for layer in spec.discriminator.layers if isinstance(layer, Dropout)]
    assert dropout == [0.2, 0.5, 0.5]
    assert feature_matching(spec).distance == "l1"
    assert feature_matching(spec).weight == pytest.approx(1 / 192)
    assert [part.decay for part in spec.techniques if isinstance(part, EmaDiscriminatorSpec)] == [0.9999]
    # 1,200 epochs of 500 batches, the last 400 of them with a falling learning rate.
    assert spec.iterations == 1200 * 500


@pytest.mark.parametrize(
    ("classifier", "gan"),
    [("salimans-mnist-100-classifier", "salimans-mnist-100"), ("odena-mnist-classifier", "odena-mnist-100")],
)
def test_the_classifier_beside_a_recipe_is_the_same_network_on_the_same_labels(classifier: str, gan: str) -> None:
    alone, beside = recipe(classifier), recipe(gan)
    assert alone.discriminator == beside.discriminator
    assert alone.dataset == beside.dataset
    assert (alone.seed, alone.batch_size) == (beside.seed, beside.batch_size)
    assert (alone.losses.discriminator, beside.losses.discriminator) == ("none", "minimax")


def test_odenas_recipes_differ_in_their_labels_alone() -> None:
    specs = [recipe(f"odena-mnist-{count}") for count in (25, 50, 100, 1000)]
    assert [spec.dataset.labels for spec in specs] == [25, 50, 100, 1000]
    own = {"name", "description", "recipe", "dataset"}
    assert len({spec.model_dump_json(exclude=own) for spec in specs}) == 1


def test_kaushiks_recipe_uses_half_of_the_labels() -> None:
    spec = recipe("kaushik-sgan-mnist")
    assert spec.dataset.labels == 60_000 // 2
    assert spec.losses.classes is not None
    assert spec.losses.classes.kind == "shared_trunk"
