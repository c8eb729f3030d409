"""What a spec may say of labels, and what each refusal says."""

from collections.abc import Callable
from typing import Any

import pytest

from ganlib.errors import SpecInvalid
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec
from ganlib.spec.sections.losses import LossesSpec

MakeData = Callable[..., dict[str, Any]]

NOTHING: dict[str, Any] = {"discriminator": "none", "generator": "none"}
CATGAN: dict[str, Any] = {"discriminator": "catgan", "generator": "catgan"}
GENERATOR = {
    "layers": ["labels", {"layer": "dense", "size": 64}, {"layer": "reshape", "shape": [1, 8, 8]}, "tanh"]
}
PICTURES: dict[str, Any] = {"name": "folder", "path": "pictures", "size": 8, "colour": "grey"}


def outputs(count: int, *before: Any) -> dict[str, Any]:
    """Return a discriminator with that many outputs."""
    return {"layers": [*before, {"layer": "dense", "size": count}]}


def classes(kind: str, **fields: Any) -> dict[str, Any]:
    """Return losses with `classes` of this kind."""
    return {"classes": {"kind": kind, **fields}}


VALID: dict[str, dict[str, Any]] = {
    "semi_supervised": {"losses": classes("semi_supervised"), "discriminator": outputs(10)},
    "fake class": {"losses": classes("semi_supervised_fake_class", weight=0.5), "discriminator": outputs(11)},
    "shared_trunk": {"losses": classes("shared_trunk"), "discriminator": outputs(11)},
    "auxiliary": {"losses": classes("auxiliary"), "discriminator": outputs(11), "generator": GENERATOR},
    "categories": {"losses": CATGAN | classes("categories"), "discriminator": outputs(10)},
    "more categories than classes": {
        "losses": CATGAN | classes("categories", count=20),
        "discriminator": outputs(20),
    },
    "categories and labels": {"losses": CATGAN | classes("categories", weight=1), "discriminator": outputs(10)},
    "classifier": {"losses": NOTHING | classes("semi_supervised"), "discriminator": outputs(10)},
    "budget": {
        "dataset": {"name": "digits", "labels": 100, "validation": 50},
        "losses": classes("semi_supervised"),
        "discriminator": outputs(10),
        "techniques": [{"technique": "ema_discriminator"}],
        "evaluation": {"every": 2, "metrics": ["accuracy"]},
    },
    "conditional": {"generator": GENERATOR, "discriminator": {"layers": ["labels", "projection"]}},
    "only the generator takes labels": {"generator": GENERATOR},
    "folder of seven classes": {
        "dataset": PICTURES | {"classes": 7},
        "losses": classes("shared_trunk"),
        "discriminator": outputs(8),
    },
    "categories of a folder without classes": {
        "dataset": PICTURES,
        "losses": CATGAN | classes("categories", count=3),
        "discriminator": outputs(3),
    },
}


@pytest.mark.parametrize("changes", VALID.values(), ids=VALID.keys())
def test_what_fits_is_taken_and_survives_being_written_and_read(
    make_spec_data: MakeData, changes: dict[str, Any]
) -> None:
    spec = parse_spec(make_spec_data(**changes))
    assert parse_spec(spec.model_dump(mode="json")) == spec


TOO_FEW = "must be 10 (classes: {kind: semi_supervised})"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    # What the data set must say.
    (
        {"dataset": PICTURES, "losses": classes("semi_supervised"), "discriminator": outputs(10)},
        "dataset.classes",
        "losses.classes needs the number of classes: give it, 2 or more",
    ),
    (
        {"dataset": PICTURES, "losses": CATGAN | classes("categories"), "discriminator": outputs(10)},
        "dataset.classes",
        "losses.classes needs the number of classes",
    ),
    (
        {"dataset": PICTURES, "generator": GENERATOR},
        "generator.layers.0",
        "layer 0 (labels) takes labels, so the number of classes must be known: give dataset.classes",
    ),
    (
        {"dataset": {"name": "digits", "labels": 100}},
        "dataset.labels",
        "a label budget needs losses that use labels: give losses.classes",
    ),
    (
        {
            "dataset": {"name": "digits", "labels": 100},
            "losses": CATGAN | classes("categories"),
            "discriminator": outputs(10),
        },
        "dataset.labels",
        "a label budget needs losses that use labels",
    ),
    (
        {"dataset": {"name": "digits", "labels": 9}, **VALID["semi_supervised"]},
        "dataset.labels",
        "9 labels are too few for 10 classes: each needs one at least",
    ),
    (
        {"dataset": {"name": "digits", "validation": 9}},
        "dataset.validation",
        "9 images are too few for 10 classes: each needs one at least",
    ),
    # Losses that do not belong together.
    ({"losses": NOTHING}, "losses.classes", "without a loss for real against fake, a classifier must be trained"),
    ({"losses": {"discriminator": "none"}}, "losses.generator", "non_saturating does not go with"),
    ({"losses": {"generator": "none"}}, "losses.generator", "allowed beside it: minimax, non_saturating"),
    ({"losses": CATGAN}, "losses.classes", "the loss catgan and classes: {kind: categories} belong together"),
    ({"losses": classes("categories")}, "losses.classes", "give both or neither"),
    ({"losses": CATGAN | classes("semi_supervised")}, "losses.classes", "belong together"),
    (
        {"losses": CATGAN | classes("categories", count=20, weight=1), "discriminator": outputs(20)},
        "losses.classes.count",
        "labels of 10 classes do not fit 20 categories; leave count out, or set weight to 0",
    ),
    ({"losses": classes("semi_supervised", weight=0)}, "losses.classes.weight", "must be more than 0"),
    ({"losses": CATGAN | classes("categories", count=1)}, "losses.classes.count", "must be at least 2"),
    # The discriminator's outputs.
    ({"losses": classes("semi_supervised")}, "discriminator.layers.2", TOO_FEW),
    (
        {"losses": classes("semi_supervised"), "discriminator": outputs(11)},
        "discriminator.layers.0",
        f"output after layer 0 (dense) is 11, but {TOO_FEW}",
    ),
    (
        {"losses": classes("semi_supervised_fake_class"), "discriminator": outputs(10)},
        "discriminator.layers.0",
        "must be 11 (classes: {kind: semi_supervised_fake_class})",
    ),
    (
        {"losses": classes("auxiliary"), "generator": GENERATOR},
        "discriminator.layers.2",
        "must be 11 (classes: {kind: auxiliary})",
    ),
    ({"discriminator": outputs(10)}, "discriminator.layers.0", "is 10, but must be 1 (one logit)"),
    # Conditional networks.
    (
        {"discriminator": outputs(1, "labels")},
        "generator.layers",
        "the discriminator takes labels, so fakes need one too: let the generator take labels",
    ),
    (
        {
            "generator": GENERATOR,
            "discriminator": outputs(11, "labels"),
            "losses": classes("shared_trunk"),
        },
        "losses.classes",
        "a discriminator that takes labels cannot also predict them: use one or the other",
    ),
    (
        {"losses": classes("auxiliary"), "discriminator": outputs(11)},
        "generator.layers",
        "classes: {kind: auxiliary} needs fakes of a known class: let the generator take labels",
    ),
    (
        {
            "generator": GENERATOR,
            "discriminator": outputs(1, "labels", {"layer": "norm", "kind": "conditional_batch"}),
            "techniques": [{"technique": "gradient_penalty"}],
        },
        "discriminator.layers.1",
        "batch norm makes an image's logit depend on the whole batch",
    ),
    # Update schedule and techniques.
    (
        VALID["classifier"] | {"adaptive_advantage": {}},
        "adaptive_advantage",
        "it needs losses that stay above 0; allowed for losses.generator: non_saturating, least_squares",
    ),
    (VALID["categories"] | {"adaptive_advantage": {}}, "adaptive_advantage", "it needs losses that stay above 0"),
    (
        VALID["categories"] | {"techniques": [{"technique": "r1"}]},
        "techniques.0",
        "r1 bounds the slope of one logit, and catgan has none",
    ),
    (
        VALID["categories"] | {"techniques": [{"technique": "diff_augment"}, {"technique": "gradient_penalty"}]},
        "techniques.1",
        "gradient_penalty bounds the slope of one logit, and catgan has none",
    ),
    (
        VALID["categories"] | {"techniques": [{"technique": "label_smoothing"}]},
        "techniques.0",
        "label_smoothing changes the targets of losses.discriminator: minimax; catgan has none",
    ),
    (
        {"techniques": [{"technique": "ema_discriminator"}]},
        "techniques.0",
        "ema_discriminator is for measuring classes: give losses.classes",
    ),
    *(
        (
            VALID["classifier"] | {"techniques": [{"technique": name}]},
            "techniques.0",
            f"{name} needs a GAN, and losses.discriminator is none; allowed then: weight_clipping, ",
        )
        for name in ("feature_matching", "ema_generator", "gradient_penalty", "r1", "label_smoothing")
    ),
    # Metrics.
    (
        {"evaluation": {"every": 2, "metrics": ["accuracy"]}},
        "evaluation.metrics",
        "accuracy needs a discriminator that learns classes: give losses.classes a weight",
    ),
    (
        VALID["categories"] | {"evaluation": {"every": 2, "metrics": ["accuracy"]}},
        "evaluation.metrics",
        "accuracy needs a discriminator that learns classes",
    ),
    (
        {"evaluation": {"every": 2, "metrics": ["label_agreement"]}},
        "evaluation.metrics",
        "label_agreement measures whether fakes show the class that they were given",
    ),
]


@pytest.mark.parametrize(("changes", "field", "words"), REFUSED)
def test_what_does_not_fit_is_refused_with_one_problem_that_names_the_field(
    make_spec_data: MakeData, changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec_data(**changes))
    (problem,) = caught.value.problems
    assert problem.field == field
    assert words in problem.message


@pytest.mark.parametrize(
    "technique",
    [
        {"technique": "ema_discriminator"},
        {"technique": "historical_averaging"},
        {"technique": "weight_clipping"},
        {"technique": "instance_noise", "until": 3},
        {"technique": "diff_augment"},
    ],
)
def test_a_classifier_may_have_the_techniques_that_mean_something_to_it(
    make_spec_data: MakeData, technique: dict[str, Any]
) -> None:
    assert parse_spec(make_spec_data(**VALID["classifier"], techniques=[technique])).techniques


@pytest.mark.parametrize(
    ("losses", "count"),
    [
        ({}, 1),
        (classes("semi_supervised"), 7),
        (classes("semi_supervised_fake_class"), 8),
        (classes("shared_trunk"), 8),
        (classes("auxiliary"), 8),
        (CATGAN | classes("categories"), 7),
        (CATGAN | classes("categories", count=20), 20),
    ],
)
def test_the_discriminator_has_as_many_outputs_as_its_losses_read(losses: dict[str, Any], count: int) -> None:
    assert LossesSpec.model_validate(losses).output_count(7) == count


def test_without_classes_a_spec_means_what_it_did(make_spec: Callable[..., JobSpec]) -> None:
    spec = make_spec()
    assert spec.losses.classes is None
    assert (spec.dataset.labels, spec.dataset.validation, spec.dataset.class_count) == (None, 0, 10)
    assert not spec.losses.uses_labels
    assert spec.losses.output_count(10) == 1
