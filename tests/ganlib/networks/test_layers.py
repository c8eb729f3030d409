"""Layers that torch does not have, and weights that are computed: against numbers worked out by hand."""

from math import exp, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from ganlib.networks.build import build_network
from ganlib.networks.first_batch import ReferenceNetwork, needs_first_batch, show_first_batch
from ganlib.networks.layers import MinibatchDiscrimination
from ganlib.networks.normalisation import VirtualBatchNorm
from ganlib.spec.sections.networks import NetworkSpec


def build(*layers: Any, shape: tuple[int, ...], **fields: Any) -> nn.Sequential:
    return build_network(NetworkSpec.model_validate({"layers": layers, **fields}), shape)


def test_a_scale_takes_the_sigmoids_range_to_the_images_and_back() -> None:
    there = build({"layer": "scale", "factor": 2, "offset": -1}, shape=(3,))
    back = build({"layer": "scale", "factor": 0.5, "offset": 0.5}, shape=(3,))
    numbers = torch.tensor([[0.0, 0.25, 1.0]])
    assert there(numbers).tolist() == [[-1.0, -0.5, 1.0]]
    assert torch.equal(back(there(numbers)), numbers)


def test_pooling_takes_the_average_or_the_largest_of_each_window() -> None:
    image = torch.tensor([[[[1.0, 3.0, 5.0, 7.0], [1.0, 3.0, 9.0, 7.0]]]])
    average, largest = (
        build({"layer": "pool", "kind": kind, "kernel": 2}, shape=(1, 2, 4)) for kind in ("average", "max")
    )
    assert average(image).tolist() == [[[[2.0, 7.0]]]]
    assert largest(image).tolist() == [[[[3.0, 9.0]]]]
    assert build("global_pool", shape=(1, 2, 4))(image).tolist() == [[4.5]]
    assert build({"layer": "global_pool", "kind": "max"}, shape=(1, 2, 4))(image).tolist() == [[9.0]]


def discrimination(matrix: list[list[float]], size: int, dimensions: int) -> MinibatchDiscrimination:
    """Return the layer whose T has these rows, one for each of size · dimensions."""
    layer = MinibatchDiscrimination(len(matrix[0]), size, dimensions).double()
    layer.weight.data = torch.tensor(matrix, dtype=torch.float64)
    return layer


def test_minibatch_discrimination_sums_how_close_the_items_are() -> None:
    # One feature; T takes x to M_1 = (x, 2x) and M_2 = (0, x). Items 0, 1 and 3.
    layer = discrimination([[1], [2], [0], [1]], size=2, dimensions=2)
    outputs = layer(torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64))
    # ‖M_1‖₁ distances are 3|x − y|, those of M_2 |x − y|.
    near, far = [exp(-3), exp(-1)], [exp(-9), exp(-3)]
    middle = [exp(-6), exp(-2)]
    expected = [
        [0, 1 + near[0] + far[0], 1 + near[1] + far[1]],
        [1, 1 + near[0] + middle[0], 1 + near[1] + middle[1]],
        [3, 1 + far[0] + middle[0], 1 + far[1] + middle[1]],
    ]
    assert outputs.flatten().tolist() == pytest.approx([number for row in expected for number in row], rel=1e-12)


def test_minibatch_discrimination_tells_a_collapsed_batch_from_a_spread_one() -> None:
    layer = discrimination([[1, 0], [0, 1]], size=2, dimensions=1)
    equal = layer(torch.ones(5, 2, dtype=torch.float64))[:, 2:]
    spread = layer(100 * torch.arange(5.0, dtype=torch.float64).unsqueeze(1).expand(5, 2))[:, 2:]
    assert equal.flatten().tolist() == [5.0] * 10
    assert spread.flatten().tolist() == pytest.approx([1.0] * 10)


def virtual_norm(count: int = 2) -> VirtualBatchNorm:
    return VirtualBatchNorm(1, count, epsilon=1e-12).double()


def test_virtual_batch_norm_uses_the_reference_and_the_item_itself() -> None:
    # Reference 1 and 5: mean 3, variance 4. With item 9 the three have mean 5 and variance 32/3.
    outputs = virtual_norm()(torch.tensor([[1.0], [5.0], [9.0], [3.0]], dtype=torch.float64)).flatten().tolist()
    assert outputs[:2] == pytest.approx([-1, 1])
    assert outputs[2] == pytest.approx((9 - 5) / sqrt(32 / 3))
    assert outputs[3] == pytest.approx(0)


def test_virtual_batch_norm_of_images_counts_all_pixels_of_the_item() -> None:
    # Reference of one image with pixels 0 and 2 (mean 1, variance 1); item 4, 8 (mean 6, variance 4).
    # Together: mean 3.5, variance (1 + 4)/2 + 2.5² = 8.75.
    images = torch.tensor([[0.0, 2.0], [4.0, 8.0]], dtype=torch.float64).reshape(2, 1, 1, 2)
    outputs = virtual_norm(1)(images).flatten().tolist()
    assert outputs == pytest.approx([-1, 1, 0.5 / sqrt(8.75), 4.5 / sqrt(8.75)])


def test_an_item_does_not_depend_on_the_others_but_on_the_reference() -> None:
    torch.manual_seed(0)
    network = build({"layer": "dense", "size": 3}, "virtual_batch_norm", shape=(4,), reference_size=8).double()
    show_first_batch(network, torch.randn(8, 4, dtype=torch.float64))
    items = torch.randn(5, 4, dtype=torch.float64)
    together = network(items)
    assert together.shape == (5, 3)
    assert torch.allclose(network(items[2:3]), together[2:3])
    # The reference stays for every later call, and what it is matters.
    assert torch.equal(network(items), together)
    show_first_batch(network, torch.randn(8, 4, dtype=torch.float64))
    assert not torch.allclose(network(items), together)


def test_the_reference_goes_through_the_weights_of_each_call() -> None:
    network = build(
        {"layer": "dense", "size": 1, "bias": False}, "virtual_batch_norm", shape=(1,), reference_size=2
    )
    show_first_batch(network, torch.tensor([[-1.0], [1.0]]))
    before = network(torch.tensor([[2.0]]))
    network[0].weight.data.mul_(5)
    # Were the reference's activations kept, five times the weight would give five times the output.
    assert network(torch.tensor([[2.0]])).item() == pytest.approx(before.item(), rel=1e-3)
    assert isinstance(network, ReferenceNetwork)
    assert network.state_dict()["reference"].flatten().tolist() == [-1.0, 1.0]


def test_gradients_of_the_layers_match_numeric_ones() -> None:
    torch.manual_seed(0)
    images = torch.randn(5, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(virtual_norm(3), (images,))
    discriminating = MinibatchDiscrimination(4, 2, 3).double()
    items = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(discriminating, (items,))


LAYERS = [
    ({"layer": "dense", "size": 3}, (5,)),
    ({"layer": "conv", "size": 3, "kernel": 3}, (2, 6, 6)),
    ({"layer": "transposed_conv", "size": 3, "kernel": 4, "stride": 2}, (2, 6, 6)),
]


def moments(outputs: Tensor) -> tuple[list[float], list[float]]:
    others = [axis for axis in range(outputs.dim()) if axis != 1]
    return outputs.mean(others).tolist(), outputs.std(others, correction=0).tolist()


@pytest.mark.parametrize("weights", ["weight_norm", "weight_norm_fixed"])
@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_the_first_batch_leaves_weight_normalised_outputs_at_mean_0_and_deviation_1(
    layer: dict[str, Any], shape: tuple[int, ...], weights: str
) -> None:
    torch.manual_seed(0)
    second = {"layer": "dense", "size": 2, "weights": weights}
    network = build({**layer, "weights": weights}, "relu", second, shape=shape)
    batch = 3 + 4 * torch.randn(50, *shape)
    assert needs_first_batch(network)
    show_first_batch(network, batch)
    for outputs in (network[0](batch), network(batch)):
        means, deviations = moments(outputs)
        assert means == pytest.approx([0] * len(means), abs=1e-4)
        assert deviations == pytest.approx([1] * len(means), rel=1e-4)


def test_the_first_length_and_offset_are_those_of_the_paper() -> None:
    network = build({"layer": "dense", "size": 1, "weights": "weight_norm"}, shape=(2,))
    network[0].parametrizations["weight"].original1.data = torch.tensor([[3.0, 4.0]])
    # t = v·x/‖v‖ is 3 and 7 for these: mean 5, deviation 2, so g = 1/2 and b = −5/2.
    show_first_batch(network, torch.tensor([[5.0, 0.0], [5.0, 5.0]]))
    assert network[0].parametrizations["weight"].original0.item() == pytest.approx(0.5)
    assert network[0].bias.item() == pytest.approx(-2.5)
    assert network[0].weight.flatten().tolist() == pytest.approx([0.3, 0.4])


def test_fixed_lengths_are_the_first_batch_s_and_only_directions_are_learned() -> None:
    network = build({"layer": "dense", "size": 1, "weights": "weight_norm_fixed"}, shape=(2,))
    kept = network[0].parametrizations["weight"]
    kept.original.data = torch.tensor([[3.0, 4.0]])
    show_first_batch(network, torch.tensor([[5.0, 0.0], [5.0, 5.0]]))
    # As above; v and b are all that is learned.
    assert network[0].weight.flatten().tolist() == pytest.approx([0.3, 0.4])
    assert [tuple(part.shape) for part in network.parameters()] == [(1,), (1, 2)]
    network(torch.tensor([[1.0, 0.0]])).sum().backward()
    # d/dv of g·v₁/‖v‖ at v = (3, 4), g = 1/2: g·(1/5 − 9/125, −12/125).
    assert kept.original.grad.flatten().tolist() == pytest.approx([0.064, -0.048])
    kept.original.data = torch.tensor([[0.0, 10.0]])
    assert network[0].weight.flatten().tolist() == pytest.approx([0, 0.5])


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_fixed_lengths_change_no_weight_before_the_first_batch(
    layer: dict[str, Any], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    plain = build(layer, shape=shape)
    torch.manual_seed(0)
    fixed = build({**layer, "weights": "weight_norm_fixed"}, shape=shape)
    assert torch.allclose(fixed[0].weight, plain[0].weight)
    # One length for each output.
    assert fixed[0].parametrizations["weight"][0].lengths.numel() == layer["size"]


def test_the_first_batch_leaves_running_statistics_alone() -> None:
    network = build({"layer": "dense", "size": 2, "weights": "weight_norm"}, "batch_norm", shape=(3,))
    show_first_batch(network, torch.randn(9, 3))
    assert network[1].running_mean.tolist() == [0, 0]
    assert network[1].num_batches_tracked.item() == 0


def test_plain_layers_need_no_first_batch() -> None:
    assert not needs_first_batch(build({"layer": "dense", "size": 3}, "batch_norm", "relu", shape=(5,)))


def test_spectral_norm_divides_by_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    network = build({"layer": "dense", "size": 2, "bias": False, "weights": "spectral_norm"}, shape=(2,))
    # Singular values 4 and 2: the power iteration converges on 4.
    network[0].parametrizations["weight"].original.data = torch.tensor([[4.0, 0.0], [0.0, 2.0]])
    for _ in range(50):
        network(torch.zeros(1, 2))
    assert network[0].weight.flatten().tolist() == pytest.approx([1, 0, 0, 0.5], abs=1e-5)


@pytest.mark.parametrize("weights", ["weight_norm", "spectral_norm"])
def test_normal_initialisation_reaches_weights_that_are_computed(weights: str) -> None:
    torch.manual_seed(0)
    network = build(
        {"layer": "dense", "size": 300, "weights": weights}, shape=(200,), init={"kind": "normal", "std": 0.05}
    )
    kept = network[0].parametrizations["weight"]
    directions = kept.original1 if weights == "weight_norm" else kept.original
    assert directions.std().item() == pytest.approx(0.05, rel=0.02)


def test_minibatch_discrimination_beside_virtual_batch_norm_counts_the_items_alone() -> None:
    torch.manual_seed(0)
    network = build(
        {"layer": "dense", "size": 3},
        "virtual_batch_norm",
        {"layer": "minibatch_discrimination", "size": 4, "dimensions": 2},
        shape=(2,),
        reference_size=50,
    )
    # Items that are all alike: each is as near as can be to each of the 6, and to none of the 50 of the reference.
    show_first_batch(network, torch.randn(50, 2))
    assert network(torch.ones(6, 2))[:, 3:].tolist() == [[pytest.approx(6)] * 4] * 6


def test_batch_norm_beside_virtual_batch_norm_looks_at_the_items_alone() -> None:
    torch.manual_seed(0)
    network = build(
        {"layer": "dense", "size": 3}, "virtual_batch_norm", "batch_norm", shape=(2,), reference_size=50
    )
    show_first_batch(network, 5 + torch.randn(50, 2))
    items = torch.randn(20, 2)
    outputs = network(items)
    assert outputs.mean(0).tolist() == pytest.approx([0] * 3, abs=1e-5)
    norm = network[2]
    seen: list[Tensor] = []
    hook = norm.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    norm.reset_running_stats()
    network(items)
    hook.remove()
    (own,) = seen
    assert len(own) == 20
    assert torch.allclose(norm.running_mean, 0.1 * own.mean(0), atol=1e-6)
