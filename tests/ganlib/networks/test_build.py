"""Networks: what the layers compute and how their first weights are drawn."""

import pytest
import torch
from torch import nn

from ganlib.networks.build import build_network
from ganlib.networks.layers import GaussianNoise
from ganlib.spec.sections.networks import NetworkSpec


def build(*layers: object, shape: tuple[int, ...], **fields: object) -> nn.Sequential:
    return build_network(NetworkSpec.model_validate({"layers": layers, **fields}), shape)


def test_leaky_relu_takes_the_slope_of_the_spec() -> None:
    network = build({"layer": "activation", "kind": "leaky_relu", "slope": 0.25}, shape=(2,))
    assert network(torch.tensor([[-4.0, 4.0]])).tolist() == [[-1.0, 4.0]]


def test_normal_initialisation_draws_weights_of_its_deviation_and_clears_biases() -> None:
    torch.manual_seed(0)
    network = build(
        {"layer": "dense", "size": 400}, "batch_norm", shape=(300,), init={"kind": "normal", "std": 0.05}
    )
    dense, norm = network[0], network[1]
    assert dense.weight.std().item() == pytest.approx(0.05, rel=0.02)
    assert dense.weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert dense.bias.abs().max().item() == 0
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)
    assert norm.weight.std().item() == pytest.approx(0.05, rel=0.15)


def test_default_initialisation_is_torchs_own() -> None:
    torch.manual_seed(0)
    network = build({"layer": "dense", "size": 7}, shape=(5,))
    torch.manual_seed(0)
    assert torch.equal(network[0].weight, nn.Linear(5, 7).weight)


def test_noise_is_added_while_training_only() -> None:
    torch.manual_seed(0)
    layer, zeros = GaussianNoise(0.5), torch.zeros(20_000)
    assert layer(zeros).std().item() == pytest.approx(0.5, rel=0.02)
    assert layer.eval()(zeros).abs().max().item() == 0
