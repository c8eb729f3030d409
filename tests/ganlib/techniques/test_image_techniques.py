"""What techniques do to images, features and weights: against numbers worked out by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from ganlib.networks.augmentation import RandomChanges, change_colour, cut_out, translate
from ganlib.networks.layers import Before, FlatLinear
from ganlib.networks.players import Networks
from ganlib.spec.job import JobSpec
from ganlib.techniques.base import StepBatch
from ganlib.techniques.feature_matching import FeatureMatchingSpec
from ganlib.techniques.historical_averaging import HistoricalAveragingSpec
from ganlib.techniques.instance_noise import InstanceNoiseSpec

MakeSpec = Callable[..., JobSpec]


def batch_of(real: Tensor, fake: Tensor) -> StepBatch:
    return StepBatch(real, fake, torch.zeros(len(fake), 1), None, torch.zeros(len(fake)), 1)


def matched(make_spec: MakeSpec, real: Tensor, fake: Tensor, **fields: Any) -> Tensor:
    """Return the penalty when D is x ↦ (x, 2x), ReLU, one logit."""
    layers = [{"layer": "dense", "size": 2}, "relu", {"layer": "dense", "size": 1}]
    technique = FeatureMatchingSpec(**fields).build(make_spec(discriminator={"layers": layers}))
    discriminator = nn.Sequential(FlatLinear(1, 2, bias=False), nn.ReLU(), FlatLinear(2, 1))
    discriminator[0].weight.data = torch.tensor([[1.0], [2.0]])
    # Wrapped, as another technique may leave it.
    networks = Networks(nn.Identity(), Before(nn.Identity(), discriminator))
    return technique.generator_penalty(networks, batch_of(real, fake))


REAL, FAKE = torch.tensor([[1.0], [3.0]]), torch.tensor([[-2.0], [1.0]])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # After the ReLU real means are (2, 4), fake ones (0.5, 1): differences 1.5 and 3.
        ({}, 1.5**2 + 3**2),
        ({"distance": "l1"}, 4.5),
        ({"weight": 2.0}, 2 * 11.25),
        ({"layer": 1}, 11.25),
        # Before it the fake means are (-0.5, -1): differences 2.5 and 5.
        ({"layer": 0}, 2.5**2 + 5**2),
        ({"layer": 0, "distance": "l1"}, 7.5),
    ],
)
def test_feature_matching_is_the_distance_of_the_mean_features(
    make_spec: MakeSpec, fields: dict[str, Any], expected: float
) -> None:
    assert matched(make_spec, REAL, FAKE, **fields).item() == pytest.approx(expected)


def test_equal_means_match_whatever_the_single_images_are(make_spec: MakeSpec) -> None:
    assert matched(make_spec, torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [2.0]])).item() == 0


def test_feature_matching_moves_fakes_towards_the_real_mean(make_spec: MakeSpec) -> None:
    fake = torch.tensor([[1.0], [1.0]], requires_grad=True)
    matched(make_spec, REAL, fake).backward()  # type: ignore[no-untyped-call]
    # d/dx of (x̄ - 2)² + (2x̄ - 4)² at x̄ = 1 is -10, half of it for each of two images.
    assert fake.grad is not None
    assert fake.grad.flatten().tolist() == pytest.approx([-5, -5])


def test_feature_matching_replaces_the_loss_or_adds_to_it(make_spec: MakeSpec) -> None:
    spec = make_spec()
    replacing, adding = (FeatureMatchingSpec(mode=mode).build(spec) for mode in ("replace", "add"))
    assert replacing.choose_generator_loss(torch.sum)(torch.ones(3)).item() == 0
    assert adding.choose_generator_loss(torch.sum)(torch.ones(3)).item() == 3


def test_historical_averaging_pulls_towards_the_mean_of_all_former_weights(make_spec: MakeSpec) -> None:
    networks = Networks(nn.Linear(1, 1, bias=False), nn.Linear(1, 2, bias=False))
    generator, discriminator = networks.generator.weight, networks.discriminator.weight
    technique = HistoricalAveragingSpec(weight=0.5).build(make_spec())
    nothing = batch_of(torch.zeros(1, 1), torch.zeros(1, 1))

    def set_weights(one: float, two: list[float]) -> None:
        generator.data.fill_(one)
        discriminator.data = torch.tensor(two, dtype=torch.float32).unsqueeze(1)

    set_weights(1, [0, 0])
    technique.start(networks)
    assert technique.generator_penalty(networks, nothing).item() == 0
    set_weights(3, [2, 4])
    technique.after_iteration(networks, 1)
    set_weights(8, [1, 2])
    technique.after_iteration(networks, 2)
    # Means: (1 + 3 + 8)/3 = 4 and (0 + 2 + 1)/3 = 1, (0 + 4 + 2)/3 = 2.
    assert technique.generator_penalty(networks, nothing).item() == pytest.approx(0.5 * (8 - 4) ** 2)
    assert technique.discriminator_penalty(networks, nothing).item() == pytest.approx(0, abs=1e-12)
    set_weights(4, [2, 5])
    assert technique.generator_penalty(networks, nothing).item() == pytest.approx(0, abs=1e-10)
    assert technique.discriminator_penalty(networks, nothing).item() == pytest.approx(0.5 * (1 + 9))


def test_instance_noise_fades_in_a_straight_line(make_spec: MakeSpec) -> None:
    technique = InstanceNoiseSpec(std=0.8, until=4).build(make_spec())
    discriminator = technique.wrap_discriminator(nn.Identity())
    networks = Networks(nn.Identity(), discriminator)
    torch.manual_seed(0)
    seen = []
    for iteration in range(1, 7):
        seen.append(discriminator(torch.full((50_000,), 3.0)))
        technique.after_iteration(networks, iteration)
    assert [noisy.std().item() for noisy in seen] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0, 0], rel=0.02, abs=1e-6)
    assert [noisy.mean().item() for noisy in seen] == pytest.approx([3] * 6, abs=0.02)


def test_images_are_left_alone_outside_of_training(make_spec: MakeSpec) -> None:
    images = torch.rand(2, 3, 8, 8)
    for change in (RandomChanges(), nn.Dropout(0.9)):
        network = Before(change, nn.Identity())
        assert not torch.equal(network(images), images)
        assert torch.equal(network.eval()(images), images)


def four(*values: float) -> Tensor:
    return torch.tensor(values).reshape(-1, 1, 1, 1)


def test_colour_changes_are_those_of_the_paper() -> None:
    # Two images of two channels and two pixels.
    images = torch.tensor([[[[0.0, 0.4]], [[0.2, 0.2]]], [[[1.0, 0.0]], [[0.0, 1.0]]]])
    same = change_colour(images, four(0, 0), four(1, 1), four(1, 1))
    assert torch.allclose(same, images, atol=1e-6)
    brighter = change_colour(images, four(0.5, -0.25), four(1, 1), four(1, 1))
    assert torch.allclose(brighter, images + four(0.5, -0.25), atol=1e-6)
    # Greys are 0.1 and 0.3, and 0.5 twice: without saturation both channels are grey.
    grey = change_colour(images, four(0, 0), four(0, 0), four(1, 1))
    assert torch.allclose(grey, torch.tensor([[[[0.1, 0.3]]], [[[0.5, 0.5]]]]).expand(2, 2, 1, 2))
    # The first image's mean is 0.2: half the contrast brings each number halfway there.
    flat = change_colour(images, four(0, 0), four(1, 1), four(0.5, 1))
    assert flat[0].flatten().tolist() == pytest.approx([0.1, 0.3, 0.2, 0.2])


def test_a_translation_moves_each_image_by_its_own_way_and_lets_zeros_in() -> None:
    image = torch.arange(1.0, 7).reshape(1, 1, 2, 3).expand(3, 1, 2, 3)
    moved = translate(image, torch.tensor([0, 1, 0]), torch.tensor([0, 0, -2]))
    assert moved[0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert moved[1, 0].tolist() == [[0, 0, 0], [1, 2, 3]]
    assert moved[2, 0].tolist() == [[3, 0, 0], [6, 0, 0]]


def test_a_cutout_is_half_as_high_and_wide_and_may_stick_out() -> None:
    cut = cut_out(torch.ones(2, 1, 4, 4), torch.tensor([1, -1]), torch.tensor([0, 3]))
    assert cut[0, 0].tolist() == [[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]]
    assert cut[1, 0].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_random_changes_stay_in_their_bounds_and_reach_them() -> None:
    torch.manual_seed(0)
    # A single bright pixel in the middle shows the way of each translation: at most 16/8 = 2 pixels.
    images = torch.zeros(2000, 1, 16, 16)
    images[:, :, 8, 8] = 1
    moved = RandomChanges(colour=False, cutout=False)(images)
    rows, columns = moved.flatten(1).argmax(1) // 16, moved.flatten(1).argmax(1) % 16
    assert rows.unique().tolist() == columns.unique().tolist() == [6, 7, 8, 9, 10]
    cut = RandomChanges(colour=False, translation=False)(torch.ones(2000, 1, 16, 16))
    missing = (1 - cut).sum((1, 2, 3))
    # A whole square has 64 pixels, the smallest corner that sticks in 16.
    assert (missing.min().item(), missing.max().item()) == (16, 64)
    bright = RandomChanges(translation=False, cutout=False)(torch.zeros(2000, 1, 2, 2))
    assert -0.5 <= bright.min().item() < -0.48
    assert 0.48 < bright.max().item() <= 0.5


def test_gradients_flow_through_every_change() -> None:
    images = torch.rand(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    numbers = [
        torch.tensor(pair, dtype=torch.float64).reshape(2, 1, 1, 1)
        for pair in ([0.1, -0.2], [0.5, 1.5], [0.7, 1.2])
    ]
    assert gradcheck(lambda given: change_colour(given, *numbers), (images,))
    assert gradcheck(lambda given: translate(given, torch.tensor([1, -1]), torch.tensor([0, 1])), (images,))
    assert gradcheck(lambda given: cut_out(given, torch.tensor([1, -1]), torch.tensor([0, 1])), (images,))
