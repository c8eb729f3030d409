"""Layers that look at the class of each item, against numbers worked out by hand."""

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganlib.networks.build import build_network
from ganlib.networks.first_batch import ReferenceNetwork, show_first_batch
from ganlib.networks.layers import AppendLabels, Before, LabelledNetwork, Projection, run_layers, takes_labels
from ganlib.networks.normalisation import ConditionalBatchNorm
from ganlib.spec.layers import LayerSpec
from ganlib.spec.sections.networks import NetworkSpec
from ganlib.spec.shapes import count_parameters, output_shape

# Two classes wherever a module is made by hand.
ZERO, ONE = torch.tensor([0]), torch.tensor([1])


def network_of(layers: list[Any], **fields: Any) -> NetworkSpec:
    return NetworkSpec.model_validate({"layers": layers, **fields})


@torch.no_grad()
def test_one_hot_labels_stand_behind_features_and_in_planes_behind_channels() -> None:
    module = AppendLabels(class_count=3, embedding_size=None)
    assert module(torch.tensor([[7.0, 8.0], [9.0, 6.0]]), torch.tensor([2, 0])).tolist() == [
        [7, 8, 0, 0, 1],
        [9, 6, 1, 0, 0],
    ]
    image = module(torch.full((1, 1, 2, 2), 7.0), ONE)
    assert image.shape == (1, 4, 2, 2)
    assert image[0].flatten(1).tolist() == [[7] * 4, [0] * 4, [1] * 4, [0] * 4]
    assert not list(module.parameters())


@torch.no_grad()
def test_embedded_labels_are_the_classs_own_numbers() -> None:
    module = AppendLabels(class_count=2, embedding_size=2)
    assert module.embedding is not None
    module.embedding.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert module(torch.tensor([[7.0], [7.0]]), torch.tensor([1, 0])).tolist() == [[7, 3, 4], [7, 1, 2]]
    assert module(torch.zeros(1, 1, 1, 2), ONE).flatten().tolist() == [0, 0, 3, 3, 4, 4]


@torch.no_grad()
def test_a_projection_adds_the_inner_product_with_the_classs_vector() -> None:
    """w·h + b = 1·2 + 3·5 + 0.5 = 17.5; v[0]·h = 10 − 5 = 5; v[1]·h = 2 + 10 = 12."""
    module = Projection(features=2, class_count=2)
    module.linear.weight.copy_(torch.tensor([[1.0, 3.0]]))
    module.linear.bias.fill_(0.5)
    module.embedding.weight.copy_(torch.tensor([[5.0, -1.0], [1.0, 2.0]]))
    features = torch.tensor([[2.0, 5.0]])
    assert module(features, ZERO).tolist() == [[22.5]]
    assert module(features, ONE).tolist() == [[29.5]]
    # Planes are flattened first.
    assert module(features.reshape(1, 1, 2, 1), ONE).tolist() == [[29.5]]


@torch.no_grad()
def test_conditional_batch_norm_has_a_gain_and_an_offset_for_each_class() -> None:
    """1 and 3 have mean 2 and variance 1, so they become −1 and 1 (but for epsilon)."""
    module = ConditionalBatchNorm(1, class_count=2, epsilon=1e-12, momentum=0.1, of_images=False)
    activations = torch.tensor([[1.0], [3.0]])
    assert module(activations, torch.tensor([0, 1])).flatten().tolist() == pytest.approx([-1, 1])
    module.gain.weight.copy_(torch.tensor([[2.0], [10.0]]))
    module.offset.weight.copy_(torch.tensor([[0.5], [-4.0]]))
    assert module(activations, torch.tensor([0, 1])).flatten().tolist() == pytest.approx([-1.5, 6])
    assert module(activations, torch.tensor([1, 0])).flatten().tolist() == pytest.approx([-14, 2.5])
    # One normalisation for all classes: alone in their class, both items would have become 0.
    assert module.norm.running_mean is not None
    assert module.norm.running_mean.item() == pytest.approx(0.1 * 2 + 0.09 * 2 + 0.081 * 2)


@torch.no_grad()
def test_conditional_batch_norm_of_images_normalises_each_channel() -> None:
    module = ConditionalBatchNorm(2, class_count=3, epsilon=1e-12, momentum=0.1, of_images=True)
    module.gain.weight.copy_(torch.tensor([[1.0, 1.0], [1.0, 1.0], [3.0, 5.0]]))
    images = torch.tensor([[[[1.0, 3.0]], [[10.0, 30.0]]]])
    assert module(images, torch.tensor([2])).flatten().tolist() == pytest.approx([-3, 3, -5, 5])


def test_each_layer_that_takes_labels_gets_them_and_the_others_do_not() -> None:
    network = LabelledNetwork(nn.Identity(), AppendLabels(2, None), nn.Flatten())
    assert network(torch.tensor([[4.0]]), ONE).tolist() == [[4, 0, 1]]
    assert run_layers(nn.Sequential(nn.ReLU()), torch.tensor([[-4.0]]), None).tolist() == [[0]]
    assert takes_labels(network)
    assert takes_labels(Before(nn.Identity(), network))
    assert not takes_labels(nn.Sequential(nn.Linear(2, 2)))
    assert Before(nn.ReLU(), network)(torch.tensor([[-4.0]]), ONE).tolist() == [[0, 0, 1]]


FAMILIES: dict[str, tuple[list[Any], tuple[int, ...]]] = {
    "labels, one-hot": (["labels", {"layer": "dense", "size": 6}], (4,)),
    "labels, one-hot planes": (["labels", {"layer": "conv", "size": 6, "kernel": 3}], (2, 5, 5)),
    "labels, embedded": ([{"layer": "labels", "encoding": "embedding", "size": 7}, "relu"], (4,)),
    "labels, embedded planes": (
        [{"layer": "labels", "encoding": "embedding", "size": 3}, {"layer": "conv", "size": 2, "kernel": 2}],
        (2, 4, 4),
    ),
    "projection": ([{"layer": "conv", "size": 3, "kernel": 2}, "projection"], (1, 4, 4)),
    "projection, spectral norm": ([{"layer": "projection", "weights": "spectral_norm"}], (8,)),
    "conditional batch norm": ([{"layer": "norm", "kind": "conditional_batch"}], (4,)),
    "conditional batch norm of images": ([{"layer": "norm", "kind": "conditional_batch"}], (3, 4, 4)),
    "all of them": (
        [
            {"layer": "labels", "encoding": "embedding"},
            {"layer": "dense", "size": 8, "weights": "weight_norm"},
            {"layer": "norm", "kind": "conditional_batch"},
            "virtual_batch_norm",
            "labels",
            "projection",
        ],
        (6,),
    ),
}


@pytest.mark.parametrize(("layers", "shape"), FAMILIES.values(), ids=FAMILIES.keys())
def test_the_arithmetic_without_torch_agrees_with_the_networks(layers: list[Any], shape: tuple[int, ...]) -> None:
    spec = network_of(layers, reference_size=4)
    network = build_network(spec, shape, class_count=5)
    outputs = network(torch.randn(3, *shape), torch.tensor([0, 4, 2]))
    assert tuple(outputs.shape[1:]) == output_shape(spec.layers, shape, 5)
    assert sum(weights.numel() for weights in network.parameters()) == count_parameters(spec.layers, shape, 5)


def test_parameters_of_conditional_layers_by_hand() -> None:
    def count(layer: Any, shape: tuple[int, ...]) -> int:
        layers: tuple[LayerSpec, ...] = network_of([layer]).layers
        return count_parameters(layers, shape, 10)

    assert count("labels", (4,)) == 0
    assert count({"layer": "labels", "encoding": "embedding", "size": 7}, (4,)) == 10 * 7
    assert count("projection", (3, 2, 2)) == 12 + 1 + 10 * 12
    assert count({"layer": "norm", "kind": "conditional_batch"}, (3, 2, 2)) == 2 * 3 * 10
    # A batch norm of all classes has a tenth of that.
    assert count("batch_norm", (3, 2, 2)) == 2 * 3


@pytest.mark.parametrize(("layers", "shape"), list(FAMILIES.values())[:-1], ids=list(FAMILIES)[:-1])
def test_gradients_of_conditional_layers_are_the_numerical_ones(layers: list[Any], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    # Spectral norm's own direction moves in each pass while training, so there it is held still.
    network = build_network(network_of(layers), shape, class_count=3).double().train("batch" in str(layers))
    labels = torch.tensor([0, 2, 2])
    names, weights = zip(*network.named_parameters(), strict=True)

    def outputs(items: Tensor, *weights: Tensor) -> Tensor:
        made: Tensor = functional_call(network, dict(zip(names, weights, strict=True)), (items, labels))
        return made

    items = torch.randn(3, *shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (items, *weights))


def test_a_reference_batch_keeps_its_labels() -> None:
    """The reference passes through conditional layers too, so its classes decide what items are normalised by."""
    spec = network_of(["labels", {"layer": "dense", "size": 5}, "virtual_batch_norm"], reference_size=4)
    torch.manual_seed(0)
    network = build_network(spec, (3,), class_count=2)
    assert isinstance(network, ReferenceNetwork)
    reference, labels = torch.randn(4, 3), torch.tensor([0, 1, 1, 1])
    show_first_batch(network, reference, labels)
    assert torch.equal(network.state_dict()["reference_labels"], labels)
    items, their_labels = torch.randn(2, 3), torch.tensor([1, 0])
    outputs = network(items, their_labels)
    assert outputs.shape == (2, 5)
    first, dense, norm = network
    activations = dense(first(torch.cat([reference, items]), torch.cat([labels, their_labels])))
    assert torch.allclose(outputs, norm(activations)[4:])
    show_first_batch(network, reference, 1 - labels)
    assert not torch.allclose(outputs, network(items, their_labels))


def test_weight_norms_first_lengths_are_those_of_the_labelled_batch() -> None:
    spec = network_of(["labels", {"layer": "dense", "size": 5, "weights": "weight_norm"}])
    torch.manual_seed(0)
    network = build_network(spec, (3,), class_count=2)
    batch, labels = torch.randn(32, 3), torch.arange(32) % 2
    show_first_batch(network, batch, labels)
    outputs = network(batch, labels)
    assert outputs.mean(0).tolist() == pytest.approx([0] * 5, abs=1e-5)
    assert outputs.std(0, correction=0).tolist() == pytest.approx([1] * 5, rel=1e-4)
    assert network(batch, torch.zeros_like(labels)).mean(0).abs().max() > 0.01


def test_spectral_norm_bounds_both_parts_of_a_projection() -> None:
    torch.manual_seed(0)
    network = build_network(network_of([{"layer": "projection", "weights": "spectral_norm"}]), (6,), class_count=4)
    for _ in range(50):
        network(torch.randn(2, 6), torch.tensor([0, 3]))
    projection = network[0]
    assert isinstance(projection, Projection)
    for weight in (projection.linear.weight, projection.embedding.weight):
        assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, rel=1e-3)
    plain = build_network(network_of(["projection"]), (6,), class_count=4)[0]
    assert isinstance(plain, Projection)
    assert torch.linalg.matrix_norm(plain.embedding.weight, 2).item() != pytest.approx(1, rel=1e-2)


def test_a_projections_vectors_begin_as_small_as_its_weights() -> None:
    weights = Projection(features=100, class_count=500).embedding.weight
    assert weights.abs().max().item() <= 0.1
    assert weights.std().item() == pytest.approx(0.1 / sqrt(3), rel=0.02)


def test_normal_initial_weights_reach_conditional_layers() -> None:
    layers = [
        {"layer": "labels", "encoding": "embedding", "size": 400},
        {"layer": "norm", "kind": "conditional_batch"},
        "projection",
    ]
    torch.manual_seed(0)
    labels, norm, projection = build_network(
        network_of(layers, init={"kind": "normal", "std": 0.02}), (400,), class_count=50
    )
    for weights, mean in ((labels.embedding.weight, 0), (norm.gain.weight, 1), (projection.embedding.weight, 0)):
        assert weights.mean().item() == pytest.approx(mean, abs=1e-3)
        assert weights.std().item() == pytest.approx(0.02, rel=0.05)
    assert norm.offset.weight.abs().max() == 0
