"""Streams of random numbers and the order of the data."""

import torch

from ganlib.runtime.random_streams import DataOrder, derive_seed, make_generator, reproducible_torch
from ganlib.spec.sections.networks import LatentsSpec
from ganlib.training.data import draw_latents

CPU = torch.device("cpu")


def order(seed: int = 0, images: int = 10, batch: int = 4) -> DataOrder:
    return DataOrder(seed, images, batch, CPU)


def test_every_image_is_seen_once_an_epoch_though_batches_straddle_epochs() -> None:
    data_order = order(images=10, batch=4)
    seen = torch.cat([data_order.indices(iteration) for iteration in range(1, 6)]).tolist()
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_a_batch_larger_than_the_data_set_runs_through_several_epochs() -> None:
    batch = order(images=3, batch=8).indices(1).tolist()
    assert sorted(batch[:3]) == sorted(batch[3:6]) == [0, 1, 2]
    assert len(batch) == 8


def test_order_is_a_function_of_seed_and_iteration_whatever_was_asked_before() -> None:
    forwards, backwards = order(), order()
    first = {iteration: forwards.indices(iteration).tolist() for iteration in range(1, 9)}
    second = {iteration: backwards.indices(iteration).tolist() for iteration in range(8, 0, -1)}
    assert first == second
    assert first != {iteration: order(seed=1).indices(iteration).tolist() for iteration in range(1, 9)}


def test_each_purpose_has_a_stream_of_its_own() -> None:
    seeds = {derive_seed(seed, purpose) for seed in range(5) for purpose in ("latents", "generator")}
    assert len(seeds) == 10
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_latents_follow_their_distribution() -> None:
    uniform = draw_latents(LatentsSpec(size=50, distribution="uniform"), 400, make_generator(CPU, 0, "test"))
    normal = draw_latents(LatentsSpec(size=50, distribution="normal"), 400, make_generator(CPU, 0, "test"))
    assert uniform.shape == normal.shape == (400, 50)
    assert -1 <= uniform.min() < -0.99
    assert 0.99 < uniform.max() <= 1
    assert abs(uniform.var().item() - 1 / 3) < 0.01
    assert abs(normal.var().item() - 1) < 0.03
    assert normal.max() > 3


def test_torchs_global_state_is_given_back() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with reproducible_torch(CPU):
        torch.manual_seed(1)
        torch.rand(10)
        assert torch.backends.cudnn.deterministic
    assert torch.equal(torch.rand(3), expected)
    assert not torch.backends.cudnn.deterministic
