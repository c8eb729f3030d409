"""Shape arithmetic, against sizes worked out by hand and against torch itself."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from ganlib.errors import ShapeMismatch, SpecInvalid
from ganlib.networks.build import build_network
from ganlib.spec.checks.networks import outline_networks
from ganlib.spec.files import read_spec_text
from ganlib.spec.layers import NEW_LAYERS, LayerSpec, describe_layers, read_layer
from ganlib.spec.parse import parse_spec
from ganlib.spec.presets import PRESETS
from ganlib.spec.sections.networks import NetworkSpec
from ganlib.spec.shapes import Shape, count_parameters, estimate_iteration, outline_layers, trace_shapes
from recipes import read_texts

layers_adapter: TypeAdapter[list[LayerSpec]] = TypeAdapter(list[LayerSpec])


def layers(*data: Any) -> list[LayerSpec]:
    return layers_adapter.validate_python(list(data))


def test_winklers_generator_grows_from_latents_to_28_pixels() -> None:
    shapes = trace_shapes(layers(*PRESETS["winkler_mnist_generator"]), (96,))
    assert shapes[0] == (1024,)
    assert shapes[3] == (6272,)
    assert shapes[6:] == [(128, 7, 7), *[(64, 14, 14)] * 3, *[(1, 28, 28)] * 2]


def test_winklers_discriminator_shrinks_28_24_12_8_4() -> None:
    shapes = trace_shapes(layers(*PRESETS["winkler_mnist_discriminator"]), (1, 28, 28))
    assert shapes[::2] == [(32, 24, 24), (32, 12, 12), (64, 8, 8), (64, 4, 4), (1024,), (1,)]


def test_parameters_of_winklers_networks_are_counted_by_hand() -> None:
    generator = (96 * 1024 + 1024) + 2 * 1024 + (1024 * 6272 + 6272) + 2 * 6272
    generator += (128 * 64 * 16 + 64) + 2 * 64 + (64 * 16 + 1)
    discriminator = (25 * 32 + 32) + (32 * 32 * 4 + 32) + (32 * 64 * 25 + 64) + (64 * 64 * 4 + 64)
    discriminator += (1024 * 1024 + 1024) + (1024 + 1)
    assert count_parameters(layers(*PRESETS["winkler_mnist_generator"]), (96,)) == generator
    assert count_parameters(layers(*PRESETS["winkler_mnist_discriminator"]), (1, 28, 28)) == discriminator


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("winkler_one_layer_generator", (96,), [(100,), (784,), (1, 28, 28)]),
        ("winkler_one_layer_discriminator", (1, 28, 28), [(1, 28, 28), (100,), (1,)]),
        ("winkler_two_layers_discriminator", (1, 28, 28), [(256,), (1,)]),
        ("winkler_inferred_generator", (96,), [(1960,), (40, 7, 7), (40, 14, 14), (20, 14, 14), (1, 28, 28)]),
        (
            "winkler_inferred_discriminator",
            (1, 28, 28),
            [(20, 28, 28), (20, 14, 14), (40, 14, 14), (40, 7, 7), (1,)],
        ),
        ("winkler_large_kernels_generator", (96,), [(1024,), (1960,), (40, 7, 7), (64, 14, 14), (1, 28, 28)]),
        (
            "winkler_more_filters_discriminator",
            (1, 28, 28),
            [(32, 24, 24), (32, 12, 12), (64, 8, 8), (64, 4, 4), (1024,), (1,)],
        ),
        (
            "winkler_first_cifar_discriminator",
            (3, 32, 32),
            [(32, 28, 28), (32, 14, 14), (64, 10, 10), (64, 5, 5), (1024,), (1,)],
        ),
        (
            "winkler_cifar_generator",
            (96,),
            [(1024,), (8192,), (128, 8, 8), (64, 16, 16), (3, 32, 32)],
        ),
        (
            "winkler_cifar_discriminator",
            (3, 32, 32),
            [(32, 16, 16), (64, 8, 8), (128, 8, 8), (1024,), (1,)],
        ),
        (
            "dcgan_64_generator",
            (100,),
            [(16384,), (1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)],
        ),
        (
            "dcgan_32_discriminator",
            (3, 32, 32),
            [(256, 16, 16), (512, 8, 8), (1024, 4, 4), (1,)],
        ),
        (
            "salimans_mnist_generator",
            (100,),
            [(500,), (784,), (1, 28, 28)],
        ),
        (
            "salimans_mnist_discriminator",
            (1, 28, 28),
            [(1000,), (500,), (250,), (10,)],
        ),
        (
            "salimans_cifar_generator",
            (100,),
            [(8192,), (512, 4, 4), (256, 8, 8), (128, 16, 16), (3, 32, 32)],
        ),
        (
            "salimans_cifar_discriminator",
            (3, 32, 32),
            [(96, 32, 32), (96, 16, 16), (192, 16, 16), (192, 8, 8), (192, 6, 6), (192,), (10,)],
        ),
        (
            "sgan_mnist_generator",
            (100,),
            [(3136,), (64, 7, 7), (32, 14, 14), (16, 28, 28), (1, 28, 28)],
        ),
        (
            "sgan_mnist_discriminator",
            (1, 28, 28),
            [(32, 14, 14), (64, 7, 7), (128, 4, 4), (11,)],
        ),
        (
            "winkler_semi_supervised_cifar_discriminator",
            (3, 32, 32),
            [(32, 16, 16), (64, 8, 8), (128, 8, 8), (1024,), (11,)],
        ),
    ],
)
def test_a_preset_goes_through_the_shapes_of_its_paper(name: str, shape: Shape, expected: list[Shape]) -> None:
    shapes = trace_shapes(layers(*PRESETS[name]), shape)
    assert [after for before, after in zip([shape, *shapes], shapes, strict=False) if after != before] == [
        after for after in expected if after != shape
    ]


@pytest.mark.parametrize("shape", [(3, 9, 9), (2, 12, 7)])
@pytest.mark.parametrize(
    "layer",
    [
        {"layer": "dense", "size": 5},
        {"layer": "dense", "size": 5, "bias": False},
        {"layer": "conv", "size": 4, "kernel": 3, "stride": 2, "padding": 1},
        {"layer": "conv", "size": 4, "kernel": 4, "stride": 3, "bias": False},
        {"layer": "transposed_conv", "size": 4, "kernel": 4, "stride": 2, "padding": 1},
        {"layer": "transposed_conv", "size": 4, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1},
        "flatten",
        "batch_norm",
        "relu",
        "leaky_relu",
        "sigmoid",
        "tanh",
        "dropout",
        {"layer": "noise", "std": 0.1},
        {"layer": "scale", "factor": 2, "offset": -1},
        {"layer": "pool", "kind": "average", "kernel": 3},
        {"layer": "pool", "kind": "max", "kernel": 2, "stride": 1, "padding": 1},
        {"layer": "pool", "kind": "average", "kernel": 3, "stride": 2, "padding": 1},
        "global_pool",
        {"layer": "global_pool", "kind": "max"},
        "virtual_batch_norm",
        {"layer": "minibatch_discrimination", "size": 4, "dimensions": 3},
        {"layer": "dense", "size": 5, "weights": "weight_norm"},
        {"layer": "dense", "size": 5, "weights": "weight_norm_fixed"},
        {"layer": "conv", "size": 4, "kernel": 3, "weights": "weight_norm"},
        {"layer": "transposed_conv", "size": 4, "kernel": 3, "weights": "weight_norm", "bias": False},
        {"layer": "dense", "size": 5, "weights": "spectral_norm"},
        {"layer": "conv", "size": 4, "kernel": 3, "weights": "spectral_norm"},
        {"layer": "transposed_conv", "size": 4, "kernel": 3, "weights": "spectral_norm"},
    ],
)
def test_torch_gives_the_shape_and_the_parameters_that_arithmetic_promised(layer: Any, shape: Shape) -> None:
    spec = NetworkSpec.model_validate({"layers": [layer]})
    network = build_network(spec, shape)
    assert tuple(network(torch.zeros(2, *shape)).shape[1:]) == trace_shapes(spec.layers, shape)[-1]
    assert sum(weights.numel() for weights in network.parameters()) == count_parameters(spec.layers, shape)


def test_reshape_takes_flat_features_and_images_alike() -> None:
    spec = NetworkSpec.model_validate({"layers": [{"layer": "reshape", "shape": [4, 2, 3]}]})
    flat = torch.arange(48.0).reshape(2, 24)
    for shape in [(24,), (2, 3, 4)]:
        shaped = build_network(spec, shape)(flat.reshape(2, *shape))
        assert shaped.flatten().tolist() == flat.flatten().tolist()
        assert tuple(shaped.shape) == (2, 4, 2, 3)


@pytest.mark.parametrize(
    ("wrong", "shape", "index", "words"),
    [
        ([{"layer": "conv", "size": 1, "kernel": 3}], (64,), 0, "put a reshape before it"),
        (["relu", {"layer": "transposed_conv", "size": 1, "kernel": 3}], (64,), 1, "put a reshape before it"),
        ([{"layer": "conv", "size": 1, "kernel": 9}], (1, 8, 8), 0, "9×9 that does not fit its input 1×8×8"),
        ([{"layer": "pool", "kind": "max", "kernel": 9}], (1, 8, 8), 0, "9×9 that does not fit its input 1×8×8"),
        (
            [{"layer": "pool", "kind": "max", "kernel": 3, "padding": 2}],
            (1, 8, 8),
            0,
            "which must be at most half its kernel 3",
        ),
        (["global_pool"], (64,), 0, "put a reshape before it"),
        ([{"layer": "reshape", "shape": [1, 3, 3]}], (8,), 0, "turns 8 = 8 numbers into 1×3×3 = 9 numbers"),
        (
            [{"layer": "transposed_conv", "size": 1, "kernel": 2, "padding": 4}],
            (1, 4, 4),
            0,
            "shrinks 1×4×4 to 1×-3×-3",
        ),
        (
            [{"layer": "transposed_conv", "size": 1, "kernel": 3, "stride": 2, "output_padding": 2}],
            (1, 4, 4),
            0,
            "must be smaller than its stride 2",
        ),
    ],
)
def test_a_layer_that_does_not_fit_is_named_with_its_shapes(
    wrong: list[Any], shape: Shape, index: int, words: str
) -> None:
    with pytest.raises(ShapeMismatch, match=f"layer {index} ") as caught:
        trace_shapes(layers(*wrong), shape)
    assert caught.value.layer_index == index
    assert words in str(caught.value)


def test_networks_of_every_recipe_are_outlined_as_torch_builds_them() -> None:
    seen: set[str] = set()
    for file, text in read_texts().items():
        data = read_spec_text(text, file)
        spec = parse_spec(data)
        classes = spec.dataset.class_count
        for outline, network in zip(outline_networks(data), (spec.generator, spec.discriminator), strict=True):
            key = network.model_dump_json(include={"layers"}) + str(outline.given)
            if key in seen or outline.parameters > 20_000_000:
                continue
            seen.add(key)
            assert outline.given is not None
            with torch.device("meta"):
                built = build_network(network, outline.given, classes)
            count = sum(weights.numel() for weights in built.parameters())
            assert (outline.parameters, outline.problem) == (count, None), file
            assert outline.layers[-1].shape == outline.expected
            assert [layer.shape for layer in outline.layers] == trace_shapes(
                network.layers, outline.given, classes
            )
    assert len(seen) > 60


def test_an_outline_goes_as_far_as_the_layers_fit_whatever_else_is_wrong() -> None:
    data = {
        "dataset": "mnist",
        "batch_size": "many",
        "generator": {"preset": "winkler_mnist_generator"},
        "discriminator": {
            "layers": [{"layer": "dense", "size": 10}, {"layer": "conv", "size": 4, "kernel": 3}, "relu"]
        },
    }
    generator, discriminator = outline_networks(data)
    assert (generator.preset, generator.problem, len(generator.layers)) == ("winkler_mnist_generator", None, 12)
    assert [(layer.shape, layer.parameters) for layer in discriminator.layers] == [
        ((10,), 7850),
        (None, 0),
        (None, 0),
    ]
    assert "needs an input of channels" in discriminator.layers[1].problem
    assert discriminator.problem is not None
    assert discriminator.problem.field == "discriminator.layers.1"
    with pytest.raises(SpecInvalid) as refused:
        parse_spec(data)
    # Beside the fields that are wrong by themselves.
    assert {"batch_size", "discriminator.layers.1"} <= {problem.field for problem in refused.value.problems}
    # A layer that cannot be read hides neither those before it nor itself; without a data set there are no shapes.
    broken: dict[str, Any] = {
        "dataset": "mnist",
        "generator": {"layers": [{"layer": "dense", "size": 3}, "swish"]},
    }
    for dataset, shape in (("mnist", (3,)), ("imagenet", None)):
        generator, nothing = outline_networks(broken | {"dataset": dataset})
        assert [layer.shape for layer in generator.layers] == [shape, None]
        assert [layer["layer"] for layer in generator.written] == ["dense", "swish"]
        assert nothing.layers == []


def test_every_kind_of_layer_can_be_added_and_its_fields_are_those_that_are_checked() -> None:
    added = [read_layer(layer) for layer in NEW_LAYERS.values()]
    kinds = {kind.name: kind for kind in describe_layers()}
    assert {layer.layer for layer in added} == kinds.keys()
    for layer in added:
        described = kinds[layer.layer].fields
        assert [field.name for field in described] == [
            name for name in type(layer).model_fields if name != "layer"
        ]
    size, kernel, *_ = kinds["conv"].fields
    assert (size.kind, size.is_required, size.minimum, size.maximum, kernel.maximum) == (
        "integer",
        True,
        1,
        65_536,
        64,
    )
    assert {field.name: field.choices for field in kinds["pool"].fields}["kind"] == ("average", "max")


def test_work_of_an_iteration_is_worked_out_by_hand() -> None:
    # One weight and one place each: 2 · (1 + 6) + 3 · (1 + 1) multiplications for each of the 10 items.
    assert estimate_iteration(1, 1, 10, 2, 1) - estimate_iteration(0, 0, 10, 2, 1) == pytest.approx(
        200 / 45e9, rel=1e-3
    )
    outline = outline_layers(layers({"layer": "conv", "size": 2, "kernel": 3, "bias": False}), (1, 5, 5))
    assert outline[0].work == 2 * 9 * 3 * 3
