"""The job spec: what is taken, and what each refusal says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from ganlib.errors import SpecInvalid
from ganlib.spec.files import apply_overrides, read_spec_file
from ganlib.spec.layers import LayerSpec
from ganlib.spec.parse import load_spec, parse_spec, variants_by_field
from ganlib.spec.sections.datasets import DatasetSpec
from ganlib.spec.sections.networks import InitSpec
from ganlib.spec.sections.optimisers import OptimiserSpec
from ganlib.techniques import TechniqueSpec

MakeData = Callable[..., dict[str, Any]]


def layers(*data: Any) -> dict[str, Any]:
    return {"layers": list(data)}


DENSE = {"layer": "dense", "size": 64}
IMAGE = {"layer": "reshape", "shape": [1, 8, 8]}
LOGIT = {"layer": "dense", "size": 1}

BAD_SPECS: list[tuple[dict[str, Any], str, str]] = [
    ({"epochs": 3}, "epochs", "there is no such field; remove it or correct its name"),
    ({"iterations": "ten"}, "iterations", "must be an integer"),
    ({"iterations": 1e99}, "iterations", "must be an integer"),
    ({"iterations": 10.5}, "iterations", "must be an integer"),
    ({"iterations": 10**12}, "iterations", "must be at most 10,000,000"),
    ({"iterations": None}, "iterations", "must be an integer"),
    ({"iterations": 10_000_000, "sample_every": 1}, "sample_every", "10,000,000 grids would be kept"),
    ({"batch_size": -3}, "batch_size", "must be at least 1"),
    ({"batch_size": 1}, "batch_size", "must be at least 2"),
    ({"seed": True}, "seed", "must be a number, not true or false"),
    ({"seed": 10**400}, "seed", "must be at most 9,223,372,036,854,775,807"),
    ({"name": "../etc"}, "name", "letters and digits of any script, spaces and '.', '_', '-', '=', '+', ',', '('"),
    ({"name": "two\nlines"}, "name", "letters and digits of any script"),
    ({"name": "ends in a space "}, "name", "no space at the end"),
    ({"name": "turned \u202e round"}, "name", "letters and digits of any script"),
    ({"tags": ['"quoted"']}, "tags.0", "letters and digits of any script"),
    ({"tags": ["t" * 51]}, "tags.0", "at most 50 characters"),
    ({"name": None}, "name", "must be text; put it in quotes"),
    ({"tags": "one"}, "tags", "must be a list"),
    (
        {"dataset": "imagenet"},
        "dataset",
        "'name' is not known; allowed: 'mnist', 'digits', 'cifar10', 'folder', 'gaussians'",
    ),
    ({"dataset": {"size": 8}}, "dataset", "'name' is missing; allowed: mnist, digits, cifar10, folder, gaussians"),
    ({"dataset": {"name": "folder", "size": 8}}, "dataset.path", "this field is required"),
    ({"dataset": {"name": "folder", "path": "a"}}, "dataset.size", "this field is required"),
    ({"dataset": {"name": "cifar10", "colour": "sepia"}}, "dataset.colour", "allowed: 'grey' or 'rgb'"),
    ({"dataset": {"name": "mnist", "colour": "grey"}}, "dataset.colour", "there is no such field"),
    ({"dataset": {"name": "digits", "url": "http://x"}}, "dataset.url", "there is no such field"),
    ({"dataset": {"name": "digits", "size": 1000}}, "dataset.size", "must be at most 256"),
    ({"device": "tpu"}, "device", "is not known; allowed: 'auto', 'cpu' or 'cuda'"),
    ({"losses": {"generator": "hingee"}}, "losses.generator", "allowed: 'minimax', 'non_saturating', 'least_sq"),
    (
        {"losses": {"generator": "hinge"}},
        "losses.generator",
        "hinge does not go with losses.discriminator: minimax; allowed beside it: minimax, non_saturating",
    ),
    (
        {"losses": {"discriminator": "wasserstein"}},
        "losses.generator",
        "non_saturating does not go with losses.discriminator: wasserstein; allowed beside it: wasserstein",
    ),
    ({"samples": {"rows": 10**6}}, "samples.rows", "must be at most 32"),
    (
        {"optimisers": {"generator": {"learning_rate": float("nan")}}},
        "optimisers.generator.learning_rate",
        "must be a finite number, not NaN or infinity",
    ),
    (
        {"optimisers": {"discriminator": {"learning_rate": float("inf")}}},
        "optimisers.discriminator.learning_rate",
        "must be a finite number",
    ),
    ({"optimisers": {"generator": {"learning_rate": 0}}}, "optimisers.generator.learning_rate", "more than 0"),
    ({"optimisers": {"generator": {"betas": [0.5]}}}, "optimisers.generator.betas.1", "an item is missing"),
    ({"optimisers": {"generator": {"betas": [0.5, 1]}}}, "optimisers.generator.betas.1", "less than 1"),
    ({"optimisers": {"generator": {"kind": "lion"}}}, "optimisers.generator", "allowed: 'adam', 'sgd', 'rmsprop'"),
    ({"optimisers": {"generator": "sgd"}}, "optimisers.generator", "must be a mapping of fields to values"),
    (
        {"optimisers": {"generator": {"kind": "sgd"}}},
        "optimisers.generator.learning_rate",
        "this field is required",
    ),
    (
        {"optimisers": {"discriminator": {"kind": "rmsprop", "alpha": 1}}},
        "optimisers.discriminator.alpha",
        "must be less than 1",
    ),
    (
        {"optimisers": {"generator": {"schedule": {"kind": "linear", "to_iteration": 5, "factor": -1}}}},
        "optimisers.generator.schedule.factor",
        "must be at least 0",
    ),
    (
        {"optimisers": {"generator": {"schedule": {"kind": "linear", "from_iteration": 5, "to_iteration": 5}}}},
        "optimisers.generator.schedule",
        "from_iteration must be less than to_iteration",
    ),
    (
        {"optimisers": {"generator": {"schedule": {"to_iteration": 5}}}},
        "optimisers.generator.schedule",
        "'kind' is missing; allowed: constant, linear",
    ),
    ({"discriminator_steps": 0}, "discriminator_steps", "must be at least 1"),
    ({"generator_advantage": 1001}, "generator_advantage", "must be at most 1,000"),
    ({"adaptive_advantage": {"most": 1}}, "adaptive_advantage.most", "must be at least 2"),
    (
        {"adaptive_advantage": {}, "discriminator_steps": 2},
        "adaptive_advantage",
        "leave out discriminator_steps and generator_advantage",
    ),
    (
        {"adaptive_advantage": {}, "losses": {"generator": "minimax"}},
        "adaptive_advantage",
        "it needs losses that stay above 0; allowed for losses.generator: non_saturating, least_squares",
    ),
    ({"techniques": [{"technique": "magic"}]}, "techniques.0", "allowed: 'ema_generator', 'label_smoothing'"),
    ({"techniques": [{"decay": 0.9}]}, "techniques.0", "'technique' is missing; allowed: ema_generator, label_sm"),
    ({"techniques": [{"technique": "r1", "gamma": 0}]}, "techniques.0.gamma", "must be more than 0"),
    ({"techniques": [{"technique": "r1", "every": 0}]}, "techniques.0.every", "must be at least 1"),
    (
        {"techniques": [{"technique": "label_smoothing", "real_target": 1.1}]},
        "techniques.0.real_target",
        "must be at most 1",
    ),
    (
        {
            "techniques": [{"technique": "r1"}, {"technique": "label_smoothing"}],
            "losses": {"discriminator": "hinge", "generator": "hinge"},
        },
        "techniques.1",
        "label_smoothing changes the targets of losses.discriminator: minimax; hinge has none",
    ),
    (
        {"techniques": [{"technique": "gradient_penalty"}], "discriminator": layers(DENSE, "batch_norm", LOGIT)},
        "discriminator.layers.1",
        "batch norm makes an image's logit depend on the whole batch, but gradient_penalty bounds the",
    ),
    (
        {"techniques": [{"technique": "instance_noise", "std": 0.1, "until": 0}]},
        "techniques.0.until",
        "must be at least 1",
    ),
    ({"techniques": [{"technique": "instance_noise"}]}, "techniques.0.until", "this field is required"),
    (
        {"techniques": [{"technique": "diff_augment", "colour": False, "translation": False, "cutout": False}]},
        "techniques.0",
        "at least one of colour, translation and cutout must be true",
    ),
    (
        {"techniques": [{"technique": "feature_matching", "layer": 3}]},
        "techniques.0.layer",
        "the discriminator's layers are counted from 0 to 2",
    ),
    (
        {"techniques": [{"technique": "feature_matching"}], "discriminator": layers(LOGIT)},
        "techniques.0.layer",
        "the discriminator's layers are counted from 0 to 0; name one of them",
    ),
    (
        {
            "techniques": [{"technique": "gradient_penalty"}],
            "discriminator": layers("minibatch_discrimination", LOGIT),
        },
        "discriminator.layers.0",
        "minibatch_discrimination makes an image's logit depend on the whole batch",
    ),
    ({"techniques": ["ema_generator"]}, "techniques.0", "must be a mapping of fields to values"),
    ({"generator": ["relu"]}, "generator", "must be a mapping of fields to values"),
    ({"generator": {"preset": "resnet"}}, "generator", "no preset is named 'resnet'; allowed: winkler_mnist_"),
    (
        {"generator": {"preset": "winkler_mnist_generator", "layers": ["relu"]}},
        "generator",
        "give either a preset or layers, not both",
    ),
    ({"generator": {**layers(DENSE, IMAGE), "init": {"std": 1}}}, "generator.init", "allowed: normal, default"),
    ({"generator": layers()}, "generator.layers", "must have at least 1 item"),
    ({"generator": layers({"layer": "attention"})}, "generator.layers.0", "allowed: 'dense', 'conv', 'transp"),
    ({"generator": layers({"size": 3})}, "generator.layers.0", "'layer' is missing; allowed: dense, conv, tra"),
    ({"generator": layers("gelu")}, "generator.layers.0", "no layer is named 'gelu' alone; allowed: relu, le"),
    ({"generator": layers({**DENSE, "size": -1})}, "generator.layers.0.size", "must be at least 1"),
    ({"generator": layers(DENSE, {**IMAGE, "kernel": 2})}, "generator.layers.1.kernel", "there is no such field"),
    (
        {"generator": layers({"layer": "dense", "size": 63}, IMAGE)},
        "generator.layers.1",
        "layer 1 (reshape) turns 63 = 63 numbers into 1×8×8 = 64 numbers",
    ),
    (
        {"generator": layers(DENSE)},
        "generator.layers.0",
        "the generator's output after layer 0 (dense) is 64, but must be 1×8×8 (the data set's images)",
    ),
    (
        {"discriminator": layers({"layer": "conv", "size": 4, "kernel": 9}, LOGIT)},
        "discriminator.layers.0",
        "layer 0 (conv) has a kernel of 9×9 that does not fit its input 1×8×8 with padding 0",
    ),
    (
        {"discriminator": layers({"layer": "dense", "size": 2})},
        "discriminator.layers.0",
        "the discriminator's output after layer 0 (dense) is 2, but must be 1 (one logit)",
    ),
    (
        {
            "generator": layers(
                {"layer": "dense", "size": 65_536}, {"layer": "dense", "size": 65_536}, DENSE, IMAGE
            )
        },
        "generator.layers",
        "parameters are too many; at most 500,000,000",
    ),
    ({"dataset": {"name": "digits", "size": 16}}, "generator.layers.5", "is 1×8×8, but must be 1×16×16"),
]


@pytest.mark.parametrize(("changes", "field", "words"), BAD_SPECS)
def test_a_bad_spec_is_refused_with_one_problem_that_names_the_field(
    make_spec_data: MakeData, changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec_data(**changes))
    (problem,) = caught.value.problems
    assert problem.field == field
    assert words in problem.message
    assert str(problem) in str(caught.value)


def test_all_problems_are_told_at_once(make_spec_data: MakeData) -> None:
    wrong = make_spec_data(iterations=0, generator=layers({**DENSE, "size": 0}, {"layer": "convv"}, "tanh"))
    del wrong["name"]
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(wrong)
    assert [problem.field for problem in caught.value.problems] == [
        "name",
        "generator.layers.0.size",
        "generator.layers.1",
        "iterations",
    ]


@pytest.mark.parametrize("nothing", [None, [], "text", 3])
def test_what_is_no_mapping_is_refused(nothing: Any) -> None:
    with pytest.raises(SpecInvalid, match="a spec is a mapping of fields to values"):
        parse_spec(nothing)


def test_a_large_grid_is_refused(make_spec_data: MakeData) -> None:
    large = {"layer": "reshape", "shape": [1, 256, 256]}
    data = make_spec_data(
        dataset={"name": "digits", "size": 256},
        generator=layers({"layer": "dense", "size": 65_536}, large),
        samples={"rows": 16, "columns": 16},
    )
    with pytest.raises(SpecInvalid, match="a grid of 16,777,216 pixels is too large; at most 16,000,000"):
        parse_spec(data)


def test_what_was_given_is_shown_but_not_at_length(make_spec_data: MakeData) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec_data(name="x" * 1000))
    assert len(caught.value.problems[0].given) == 80


def test_shorthands_stand_for_what_they_say(make_spec_data: MakeData) -> None:
    spec = parse_spec(make_spec_data())
    assert spec.dataset.shape == (1, 8, 8)
    assert [layer.layer for layer in spec.generator.layers][1:3] == ["activation", "norm"]


def test_a_spec_survives_being_written_and_read(make_spec_data: MakeData) -> None:
    spec = parse_spec(make_spec_data(techniques=[{"technique": "ema_generator"}]))
    assert parse_spec(spec.model_dump(mode="json")) == spec


def test_overrides_reach_into_mappings_lists_and_shorthands(make_spec_data: MakeData) -> None:
    data = make_spec_data()
    changed = parse_spec(
        apply_overrides(
            data,
            [
                "dataset.size=8",
                "optimisers.generator.learning_rate=1e-3",
                "discriminator.layers.1.slope=0.3",
                "generator.layers.0.size=128",
                "seed=5",
            ],
        )
    )
    assert changed.dataset.size == 8
    assert changed.optimisers.generator.learning_rate == 1e-3
    assert changed.discriminator.layers[1].slope == 0.3  # type: ignore[union-attr]
    assert changed.seed == 5
    assert data == make_spec_data()


def test_an_override_of_a_presets_layer_writes_the_preset_out() -> None:
    preset = {"preset": "winkler_mnist_generator"}
    changed = apply_overrides({"generator": preset}, ["generator.layers.0.size=512"])
    assert changed["generator"]["layers"][0] == {"layer": "dense", "size": 512}
    assert "preset" not in changed["generator"]
    untouched = apply_overrides({"generator": preset}, ["generator.layers.1={layer: dropout}"])
    assert untouched["generator"]["layers"][0]["size"] == 1024


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("seed", "--set"),
        ("=5", "--set"),
        ("generator.layers.99.size=5", "generator.layers.99.size"),
        ("generator.layers.first.size=5", "generator.layers.first.size"),
        ("name.first=x", "name.first"),
        ("iterations.first.second=x", "iterations.first.second"),
        ("seed=[1", "seed"),
    ],
)
def test_an_override_that_cannot_be_set_is_named(make_spec_data: MakeData, override: str, field: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        apply_overrides(make_spec_data(), [override])
    assert caught.value.problems[0].field == field


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "line 1, column 7: this is not YAML: the list that begins here is not closed"),
        ("- a list", "a spec is a mapping"),
        ("!!python/object/apply:os.system ['true']", "line 1, column 1: the tag !!python/object/apply:os.sys"),
        ("#" * 1_048_577, "holds at most 1,048,576 bytes"),
    ],
)
def test_a_file_that_holds_no_spec_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecInvalid, match=words):
        read_spec_file(tmp_path / "spec.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid, match="the file cannot be read: No such file"):
        load_spec(tmp_path / "none.yaml")


def test_the_kinds_that_problems_list_are_those_of_the_spec() -> None:
    def kinds(union: Any, field: str) -> tuple[str, ...]:
        return tuple(part.model_fields[field].default for part in get_args(get_args(union)[0]))

    layers = kinds(LayerSpec, "layer")
    optimisers = kinds(OptimiserSpec, "kind")
    assert variants_by_field() == {
        "dataset": kinds(DatasetSpec, "name"),
        "techniques": kinds(TechniqueSpec, "technique"),
        "layers": layers,
        "head": layers,
        "init": kinds(InitSpec, "kind"),
        "schedule": ("constant", "linear"),
        "generator": optimisers,
        "discriminator": optimisers,
        "optimiser": optimisers,
        "classes": (
            "semi_supervised", "semi_supervised_fake_class", "shared_trunk", "auxiliary", "categories",
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "suggestion"),
    [("iteratons", "did you mean iterations?"), ("batchsize", "did you mean batch_size?"), ("zzz", None)],
)
def test_a_field_that_is_nearly_right_is_suggested(
    make_spec_data: MakeData, field: str, suggestion: str | None
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec({**make_spec_data(), field: 3})
    (problem,) = caught.value.problems
    assert (problem.field, "did you mean" in problem.message) == (field, suggestion is not None)
    assert (suggestion or "") in problem.message
