"""Signals against numbers worked out by hand, and against what they must tell apart."""

import pytest
import torch
from torch import Tensor, nn

from ganlib.evaluation.signals import networks, samples
from ganlib.evaluation.signals.meter import SignalMeter, best_accuracy
from ganlib.evaluation.signals.probe import Observation
from ganlib.evaluation.signals.references import References
from ganlib.vocabulary import (
    CHECKERBOARD,
    CONTRAST,
    COPIES,
    DIVERSITY,
    DUPLICATES,
    KIND_SHARE,
    KINDS,
    LABEL_AGREEMENT_SIGNAL,
    LABEL_EFFECT,
    MOVEMENT,
    NEAREST_TRAINING,
    OVERFITTING,
    REAL_DISTANCE,
)


def images(count: int, seed: int = 0, classes: int = 8) -> Tensor:
    """Return pictures uint8 (count, 1, 16, 16) of some kinds: a bright square at the class's place, and noise."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 60, (count, 1, 16, 16), generator=generator)
    for index in range(count):
        row, column = divmod(index % classes, 4)
        noise[index, 0, 8 * row : 8 * row + 6, 4 * column : 4 * column + 3] += 190
    return noise.to(torch.uint8)


def measure(
    fakes: Tensor,
    held_out: Tensor | None = None,
    logits: dict[str, Tensor] | None = None,
    relabelled: Tensor | None = None,
    meter: SignalMeter | None = None,
) -> dict[str, float]:
    real = images(256)
    labels = torch.arange(256) % 8
    references = References(
        training=real[:128],
        training_labels=labels[:128],
        held_out=images(64, seed=9) if held_out is None else held_out,
        held_out_labels=None,
        searched=real,
        labels=labels,
        class_count=8,
    )
    own = torch.arange(len(fakes)) % 8
    observation = Observation(1, fakes, own, relabelled, None, logits or {}, {})
    return (meter or SignalMeter(references)).measure(observation)


def test_distances_by_hand() -> None:
    vectors = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    # 5, 1 and √(9 + 9) in both directions.
    assert samples.mean_distance(vectors).item() == pytest.approx((5 + 1 + 18**0.5) / 3)
    assert samples.nearest_other(vectors).tolist() == pytest.approx([1, 18**0.5, 1])
    assert samples.count_kinds(vectors, torch.tensor(1.5)).item() == 2
    assert samples.duplicate_share(vectors, torch.tensor(1.5)).item() == pytest.approx(2 / 3)
    assert samples.nearest_in(vectors[:1], vectors[1:]).item() == pytest.approx(1)
    assert samples.nearest_in(vectors, vectors, skip_equal=True).tolist() == pytest.approx([1, 18**0.5, 1])


def test_the_energy_distance_is_0_for_equal_distributions_and_1_for_points_apart() -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.randn(400, 5, generator=generator) for _ in range(2))
    assert samples.energy_distance(first, second).item() < 0.01
    # Two points far apart: 2·d − 0 − 0 over 2·d.
    assert samples.energy_distance(torch.zeros(4, 2), torch.full((4, 2), 7.0)).item() == pytest.approx(1)


def test_real_images_get_what_the_vocabulary_says() -> None:
    fakes = images(64, seed=3)
    found = measure(fakes, relabelled=fakes.roll(1, 0))
    for metric in (DIVERSITY, KIND_SHARE, CONTRAST, NEAREST_TRAINING, LABEL_AGREEMENT_SIGNAL):
        assert found[metric.name] == pytest.approx(metric.reference, rel=0.15), metric.name
    assert found[KINDS.name] == measure(images(64))[KINDS.name]
    assert found[REAL_DISTANCE.name] < 0.05
    assert found[COPIES.name] < 0.1
    assert found[CHECKERBOARD.name] == pytest.approx(1, abs=0.4)


def test_one_picture_everywhere_is_one_kind() -> None:
    found = measure(images(1).expand(64, -1, -1, -1))
    assert (found[KINDS.name], found[DUPLICATES.name]) == (1, 1)
    assert found[DIVERSITY.name] < 0.01
    assert found[CONTRAST.name] == pytest.approx(1, abs=0.2)


def test_a_plain_picture_has_no_contrast() -> None:
    assert measure(torch.zeros(64, 1, 16, 16, dtype=torch.uint8))[CONTRAST.name] < 1e-3


def test_copies_of_training_images_are_told_from_new_ones_of_the_same_kind() -> None:
    copied, new = measure(images(64)), measure(images(64, seed=3))
    assert (copied[COPIES.name], copied[NEAREST_TRAINING.name]) == (1, pytest.approx(0, abs=1e-2))
    assert new[COPIES.name] < 0.1


def test_a_pattern_of_two_pixels_is_found_and_noise_is_not() -> None:
    fakes = images(64, seed=3).int()
    fakes[:, :, ::2, ::2] += 100
    assert measure(fakes.clamp(0, 255).to(torch.uint8))[CHECKERBOARD.name] > 4
    # Fine noise that all samples share has no period.
    noise = torch.randint(0, 100, (1, 1, 16, 16), generator=torch.Generator().manual_seed(2))
    noisy = images(64, seed=3).int() + noise
    assert measure(noisy.clamp(0, 255).to(torch.uint8))[CHECKERBOARD.name] < 2


def test_movement_is_measured_from_the_last_samples() -> None:
    real = images(256)
    references = References(real[:128], None, real[:0], None, real, None, 0)
    meter = SignalMeter(references)
    fakes = images(64, seed=3)
    assert MOVEMENT.name not in measure(fakes, meter=meter)
    assert measure(fakes, meter=meter)[MOVEMENT.name] == pytest.approx(0, abs=1e-6)
    assert measure(fakes.roll(1, 0), meter=meter)[MOVEMENT.name] > 0.8


def test_labels_that_change_nothing_have_no_effect() -> None:
    fakes = images(64, seed=3)
    assert measure(fakes, relabelled=fakes)[LABEL_EFFECT.name] == pytest.approx(0, abs=1e-6)
    assert measure(fakes, relabelled=fakes.roll(1, 0))[LABEL_EFFECT.name] > 0.8
    assert measure(fakes.roll(1, 0), relabelled=fakes)[LABEL_AGREEMENT_SIGNAL.name] < 0.1


def test_overfitting_is_how_far_held_out_images_lie_on_the_way_to_generated_ones() -> None:
    logits = {name: torch.full((64,), value) for name, value in (("real", 2.0), ("fake", -2.0), ("held_out", 1.0))}
    # (2 − 1) / (2 − −2)
    assert measure(images(64), logits=logits)[OVERFITTING.name] == pytest.approx(0.25)
    logits["fake"] = torch.full((64,), 3.0)
    assert OVERFITTING.name not in measure(images(64), logits=logits)


def test_the_best_threshold_decides_how_many_are_told_apart() -> None:
    assert best_accuracy(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 0.0])).item() == 1
    # 3 of 4 above 1.5 or below.
    assert best_accuracy(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 0.0])).item() == 0.75
    assert best_accuracy(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0])).item() == 0.5


def test_shares_of_units_by_hand() -> None:
    outputs = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    assert networks.dead_share(outputs).item() == pytest.approx(1 / 3)
    assert networks.dead_share(outputs.reshape(2, 3, 1, 1)).item() == pytest.approx(1 / 3)
    given = torch.tensor([[0.001, 0.5, 0.995, 0.3]])
    assert networks.saturated_share(nn.Sigmoid(), given).item() == 0.5
    assert networks.saturated_share(nn.Tanh(), torch.tensor([[-0.99, 0.0, 0.97, 0.99]])).item() == 0.5


def test_the_largest_singular_value_is_torchs() -> None:
    weights = torch.randn(20, 8, 3, 3, generator=torch.Generator().manual_seed(4))
    exact = torch.linalg.matrix_norm(weights.flatten(1), 2).item()
    assert networks.largest_singular_value(weights).item() == pytest.approx(exact, rel=0.1)
    assert networks.norm_of([torch.tensor([3.0]), torch.tensor([4.0])]).item() == pytest.approx(5)
