"""Adaptive augmentation: its matrices and pixels by hand, and how its probability follows r_t."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from ganlib.losses.adversarial import DISCRIMINATOR_LOSSES
from ganlib.networks import adaptive_augmentation as augmentation
from ganlib.networks.adaptive_augmentation import (
    SYM6,
    AdaptiveChanges,
    blit,
    choose_blit,
    choose_colour,
    choose_geometry,
    downsampling,
    recolour,
    upsampling,
    warp,
)
from ganlib.networks.layers import Before
from ganlib.networks.players import Networks
from ganlib.spec.job import JobSpec
from ganlib.techniques.ada import Ada, AdaSpec
from ganlib.vocabulary import AUGMENTATION_OVERFITTING, AUGMENTATION_PROBABILITY

MakeSpec = Callable[..., JobSpec]
CORNERS = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]])
NEVER, ALWAYS = torch.zeros(5, 1, dtype=torch.bool), torch.ones(5, 1, dtype=torch.bool)


def only(index: int) -> Tensor:
    """Return which of five changes of one image happen: this one."""
    return torch.arange(5).unsqueeze(1) == index


def blitted(mirrored: bool = False, turns: int = 0, right: int = 0, down: int = 0) -> list[list[float]]:
    numbers = [torch.tensor([number]) for number in (mirrored, turns, right, down)]
    rows: list[list[float]] = blit(CORNERS, *numbers)[0, 0].tolist()
    return rows


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        ({"mirrored": True}, [[3, 2, 1], [6, 5, 4], [9, 8, 7]]),
        ({"turns": 1}, [[7, 4, 1], [8, 5, 2], [9, 6, 3]]),
        ({"turns": 2}, [[9, 8, 7], [6, 5, 4], [3, 2, 1]]),
        ({"turns": 3}, [[3, 6, 9], [2, 5, 8], [1, 4, 7]]),
        # What comes in from outside is the mirror image: the first column again.
        ({"right": 1}, [[1, 1, 2], [4, 4, 5], [7, 7, 8]]),
        ({"down": -2}, [[7, 8, 9], [7, 8, 9], [4, 5, 6]]),
        # Mirrored before it is turned, moved last.
        ({"mirrored": True, "turns": 1}, [[9, 6, 3], [8, 5, 2], [7, 4, 1]]),
        ({"turns": 1, "right": 1}, [[7, 7, 4], [8, 8, 5], [9, 9, 6]]),
    ],
)
def test_a_blit_copies_each_pixel_to_its_place(change: dict[str, int], expected: list[list[float]]) -> None:
    assert blitted(**change) == expected


def test_a_blit_is_chosen_from_uniform_numbers() -> None:
    uniform = torch.tensor([[0.4, 0.6, 0.4], [0.8, 0.1, 0.8], [0.0, 0.5, 0.0], [0.99, 0.5, 0.99]])
    does = torch.tensor([[True, True, False]] * 3)
    mirrored, turns, right, down = choose_blit(uniform, does, size=16)
    # An eighth of 16 pixels is 2; 0.99 gives 0.98 · 2 = 1.96. The third image is left alone.
    assert mirrored.tolist() == [True, False, False]
    assert turns.tolist() == [3, 0, 0]
    assert (right.tolist(), down.tolist()) == ([-2, 0, 0], [2, 0, 0])


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        # Scaled by 2^(0.2 · 5) = 2: each position is read at half of it.
        (0, [[0.5, 0, 0], [0, 0.5, 0]]),
        # (2 · 0.75 − 1) · 180° = 90° clockwise: what is now at the right was above.
        (1, [[0, 1, 0], [-1, 0, 0]]),
        # Stretched by 2 to the right and 1/2 downwards.
        (2, [[0.5, 0, 0], [0, 2, 0]]),
        # (2 · 0.5 − 1) · 180° = 0.
        (3, [[1, 0, 0], [0, 1, 0]]),
        # Moved by 1 · 0.125 · 16 = 2 pixels to the right, and −0.5 of that down.
        (4, [[1, 0, -2], [0, 1, 1]]),
    ],
)
def test_geometry_matrices_are_those_worked_out_by_hand(which: int, expected: list[list[float]]) -> None:
    uniform, normal = torch.tensor([[0.75], [0.5]]), torch.tensor([[5.0], [5.0], [1.0], [-0.5]])
    matrix = choose_geometry(uniform, normal, only(which), size=16)[0]
    assert matrix.flatten().tolist() == pytest.approx([*expected[0], *expected[1]], abs=1e-6)
    assert choose_geometry(uniform, normal, NEVER, 16)[0].flatten().tolist() == [1, 0, 0, 0, 1, 0]


def test_geometry_changes_come_in_the_papers_order() -> None:
    uniform, normal = torch.tensor([[0.75], [0.5]]), torch.tensor([[5.0], [5.0], [1.0], [-0.5]])
    # Forwards: twice as large, a quarter turn, stretched by (2, 1/2), moved by (2, −1). So (1, 0) goes to (2, 0),
    # (0, 2), (0, 1) and (2, 0); the matrix leads back, and another order would not.
    matrix = choose_geometry(uniform, normal, ALWAYS, 16)[0]
    assert (matrix @ torch.tensor([2.0, 0, 1])).tolist() == pytest.approx([1, 0], abs=1e-6)


def test_the_wavelets_filter_is_orthogonal_to_its_shifts_so_that_what_does_not_move_stays() -> None:
    taps = torch.tensor(SYM6, dtype=torch.float64)
    assert taps.sum().item() == pytest.approx(2**0.5)
    products = [(taps[shift:] * taps[: 12 - shift]).sum().item() for shift in (0, 2, 4, 6, 8, 10)]
    assert products == pytest.approx([1, 0, 0, 0, 0, 0], abs=1e-6)
    assert upsampling(5).sum(1).tolist() == pytest.approx([1] * 10, abs=2e-2)
    # Pixels 3 and 4 of 8 do not see the edges: all the way up and down they are themselves again.
    there_and_back = downsampling(8)[:, 5:21] @ upsampling(8)
    assert torch.allclose(there_and_back[3:5], torch.eye(8)[3:5], atol=1e-6)


def smooth(size: int = 16) -> Tensor:
    """Return a picture (1, 1, S, S) of a blob right of the middle, and above it."""
    at = torch.arange(size) + 0.5 - size / 2
    return torch.exp(-((at[None, :] - 1).square() + (at[:, None] + 2).square()) / 6)[None, None]


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[1, 0, 0], [0, 1, 0]], smooth()),
        ([[-1, 0, 0], [0, 1, 0]], smooth().flip(3)),
        # The quarter turn of above: clockwise.
        ([[0, 1, 0], [-1, 0, 0]], smooth().rot90(-1, (2, 3))),
        ([[1, 0, -2], [0, 1, 1]], smooth().roll((2, -1), (3, 2))),
        # Outside, at ±16 pixels, lie mirror images.
        ([[1, 0, 16], [0, 1, 0]], smooth().flip(3)),
        ([[1, 0, 0], [0, 1, -16]], smooth().flip(2)),
    ],
)
def test_a_warp_reads_the_picture_where_its_matrix_says(matrix: list[list[float]], expected: Tensor) -> None:
    warped = warp(smooth(), torch.tensor([matrix], dtype=torch.float32), upsampling(16), downsampling(16))
    assert torch.allclose(warped, expected, atol=0.03)


def test_a_warp_between_pixels_interpolates() -> None:
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    matrix = torch.tensor([[[1, 0, 0.25], [0, 1, 0]]])
    warped = warp(ramp, matrix, upsampling(16), downsampling(16))
    assert warped[0, 0, 8, 4:12].tolist() == pytest.approx([number + 0.25 for number in range(4, 12)], abs=0.01)


@pytest.mark.parametrize(
    ("which", "colour", "expected"),
    [
        # 1 · 0.2 more.
        (0, [0.1, -0.3, 0.5], [0.3, -0.1, 0.7]),
        # Times 2^(0.5 · 2) = 2.
        (1, [0.1, -0.3, 0.5], [0.2, -0.6, 1.0]),
        # The mean, 0.1, becomes −0.1, and what is beside it stays: (0, −0.4, 0.4).
        (2, [0.1, -0.3, 0.5], [-0.1, -0.5, 0.3]),
        # A third of a turn about grey, (2/3 of 0.5 …): red becomes green, green blue, blue red.
        (3, [0.1, -0.3, 0.5], [0.5, 0.1, -0.3]),
        # Distance from grey times 2^1.
        (4, [0.1, -0.3, 0.5], [0.1, -0.7, 0.9]),
    ],
)
def test_colour_changes_are_those_worked_out_by_hand(
    which: int, colour: list[float], expected: list[float]
) -> None:
    uniform, normal = torch.tensor([[0.4], [0.5 + 1 / 3]]), torch.tensor([[1.0], [2.0], [1.0]])
    image = torch.tensor(colour).reshape(1, 3, 1, 1)
    matrix = choose_colour(uniform, normal, only(which))
    assert recolour(image, matrix).flatten().tolist() == pytest.approx(expected, abs=1e-6)
    assert recolour(image, choose_colour(uniform, normal, NEVER)).flatten().tolist() == pytest.approx(colour)


def test_all_colour_changes_together_brighten_before_they_stretch_and_turn_greys_into_greys() -> None:
    uniform, normal = torch.tensor([[0.4], [0.7]]), torch.tensor([[1.0], [2.0], [1.0]])
    matrix = choose_colour(uniform, normal, ALWAYS)
    # 0.1 → 0.3 → 0.6 → −0.6, which neither hue nor saturation moves; so with one channel too.
    assert recolour(torch.full((1, 3, 1, 1), 0.1), matrix).flatten().tolist() == pytest.approx([-0.6] * 3)
    assert recolour(torch.full((1, 1, 1, 1), 0.1), matrix, False).item() == pytest.approx(-0.6)


def test_at_probability_0_nothing_changes_and_at_1_nearly_all_does() -> None:
    torch.manual_seed(0)
    images = torch.rand(256, 3, 8, 8) * 2 - 1
    changes = AdaptiveChanges(8)
    assert torch.allclose(changes(images), images, atol=1e-6)
    changes.probability.fill_(1)
    assert not torch.isclose(changes(images), images, atol=1e-3).all(3).all(2).all(1).any()


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        # p = 0.5: mirrored by chance 1/4; not turned 1 − 0.5 · 3/4 = 5/8; both ways are the same for 1/9 of the
        # moves of −1 to 1, where the ends are half as likely, so not moved 0.5 + 0.5 · 1/4 = 5/8.
        ({"blit": True}, 1 - 3 / 4 * 5 / 8 * 5 / 8),
        # None of scale, stretch and translation, and no rotation, which has p once for both: 1 − 0.5⁴.
        ({"geometry": True}, 1 - 0.5**4),
        # Of five, the inversion does nothing half of the time.
        ({"colour": True}, 1 - 0.5**4 * 0.75),
    ],
)
def test_each_change_happens_as_often_as_the_probability_says(groups: dict[str, bool], expected: float) -> None:
    torch.manual_seed(0)
    images = (torch.rand(1, 3, 8, 8) * 2 - 1).expand(3000, 3, 8, 8)
    changes = AdaptiveChanges(8, **{"blit": False, "geometry": False, "colour": False} | groups)
    changes.probability.fill_(0.5)
    changed = (changes(images) - images).abs().amax((1, 2, 3)) > 1e-5
    assert changed.float().mean().item() == pytest.approx(expected, abs=0.025)


def test_each_image_has_its_own_numbers_wherever_in_the_batch_and_none_outside_of_training() -> None:
    torch.manual_seed(0)
    images = (torch.rand(1, 3, 8, 8) * 2 - 1).expand(1000, 3, 8, 8)
    changes = AdaptiveChanges(8)
    changes.probability.fill_(0.7)
    network = Before(changes, nn.Identity())
    changed = network(images)
    assert len(changed.flatten(1).unique(dim=0)) > 950
    # Real images come first and generated ones behind them, or in batches of their own.
    moved = (changed - images).abs().mean((1, 2, 3))
    first, second = moved.chunk(2)
    assert first.mean().item() == pytest.approx(second.mean().item(), rel=0.1)
    assert torch.equal(network.eval()(images), images)


def test_gradients_and_their_gradients_flow_to_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    for name in ("_draw_uniform", "_draw_normal"):
        drawn = getattr(augmentation, name)(images)
        monkeypatch.setattr(augmentation, name, lambda _, drawn=drawn: drawn)
    changes = AdaptiveChanges(4)
    changes.probability.fill_(0.9)
    assert not torch.allclose(changes(images), images)
    assert gradcheck(changes, (images,), fast_mode=True)
    assert gradgradcheck(lambda given: changes(given).square(), (images,), fast_mode=True)


def started(make_spec: MakeSpec, loss: str = "minimax", **fields: object) -> tuple[Ada, Networks]:
    spec = make_spec(losses={"discriminator": loss, "generator": "non_saturating" if loss == "minimax" else loss})
    technique = AdaSpec(**fields).build(spec)  # type: ignore[arg-type]
    assert isinstance(technique, Ada)
    networks = Networks(nn.Identity(), technique.wrap_discriminator(nn.Identity()))
    technique.start(networks)
    return technique, networks


def numbers_of(technique: Ada) -> list[float]:
    return [number.item() for number in technique.metrics().values()]


def test_the_probability_follows_the_share_of_training_images_called_real(make_spec: MakeSpec) -> None:
    # Of 4 images in each iteration, in 0.04 thousand images from 0 to 1: a step of 2 · 4 / 40 = 0.2.
    technique, networks = started(make_spec, speed=0.04, every=2)
    loss = technique.choose_discriminator_loss(DISCRIMINATOR_LOSSES["minimax"])

    def train(iteration: int, logits: list[float]) -> list[float]:
        loss(torch.tensor(logits, dtype=torch.float32), torch.tensor([100.0]))
        technique.after_iteration(networks, iteration)
        return numbers_of(technique)

    assert train(1, [1, 2, 3, 0.1]) == [0, 0]
    # 4 and 3 of 4 called real: (4 + 2) / 8 = 0.75 is above 0.6.
    assert train(2, [1, 2, 3, -9]) == pytest.approx([0.2, 0.75])
    assert train(3, [1, 1, 1, 1]) == pytest.approx([0.2, 0.75])
    assert train(4, [1, 1, 1, 1]) == pytest.approx([0.4, 1])
    # (2 + 2) / 8 = 0.5 is below.
    train(5, [1, 1, 1, -1])
    assert train(6, [1, 1, 1, -1]) == pytest.approx([0.2, 0.5])
    for iteration in range(7, 13):
        train(iteration, [-1, -1, -1, -1])
    assert numbers_of(technique) == [0, -1]
    for iteration in range(13, 29):
        train(iteration, [1, 1, 1, 1])
    assert numbers_of(technique) == [1, 1]


def test_an_iteration_that_sees_no_real_image_moves_nothing(make_spec: MakeSpec) -> None:
    technique, networks = started(make_spec, speed=0.01, every=1)
    loss = technique.choose_discriminator_loss(DISCRIMINATOR_LOSSES["minimax"])
    loss(torch.ones(4), torch.ones(4))
    technique.after_iteration(networks, 1)
    technique.after_iteration(networks, 2)
    assert numbers_of(technique) == pytest.approx([0.4, 1])


def test_least_squares_calls_real_what_lies_above_the_middle_of_its_targets(make_spec: MakeSpec) -> None:
    for loss, expected in (("least_squares", 0.0), ("hinge", 1.0)):
        technique, networks = started(make_spec, loss, every=1)
        real_logits = torch.tensor([0.9, 0.4, 0.6, 0.1])
        technique.choose_discriminator_loss(DISCRIMINATOR_LOSSES[loss])(real_logits, torch.zeros(4))
        technique.after_iteration(networks, 1)
        assert numbers_of(technique)[1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"losses": {"discriminator": "hinge", "generator": "hinge"}}, None),
        ({"dataset": {"name": "gaussians", "size": 8}}, "show points"),
        ({"losses": {"discriminator": "wasserstein", "generator": "wasserstein"}}, "logits of wasserstein"),
    ],
)
def test_it_fits_pictures_and_losses_that_say_what_is_real(
    make_spec: MakeSpec, changes: dict[str, object], message: str | None
) -> None:
    problem = AdaSpec().find_problem("techniques.0", make_spec(**changes))
    assert (problem is None) if message is None else (problem is not None and message in problem.message)


def test_a_run_logs_probability_and_overfitting_and_checkpoints_hold_them(
    make_spec: MakeSpec, run_training: Callable[..., Any]
) -> None:
    # Two iterations of 64 images of 320: 0.4, and no r_t is below −0.99.
    section = {"technique": "ada", "target": -0.99, "speed": 0.32, "every": 2}
    fields = {"iterations": 3, "log_every": 1, "batch_size": 64, "checkpoint_every": 3}
    run = run_training(make_spec(techniques=[section], **fields))
    logged = [values[AUGMENTATION_PROBABILITY.name] for _, values in run.numbers()]
    assert logged == pytest.approx([0, 0.4, 0.4])
    tensors = load_file(run.out_dir / "checkpoints/00000003.safetensors")
    assert tensors["discriminator.change.probability"].item() == pytest.approx(0.4)
    assert tensors["technique.0.seen"].item() == 64
    assert tensors["technique.0.overfitting"].item() == run.numbers()[-1][1][AUGMENTATION_OVERFITTING.name]
    # Control: without the technique nothing of it is logged.
    plain = run_training(make_spec(**fields))
    assert not any(AUGMENTATION_PROBABILITY.name in values for _, values in plain.numbers())


def test_what_would_change_nothing_is_refused(make_spec: MakeSpec) -> None:
    with pytest.raises(ValidationError, match="at least one of blit, geometry and colour"):
        AdaSpec(blit=False, geometry=False, colour=False)
    problem = AdaSpec(blit=False, geometry=False).find_problem("techniques.0", make_spec())
    assert problem is not None
    assert "three channels alone" in problem.message
    assert AdaSpec(blit=False, geometry=False, colour=True).find_problem("techniques.0", make_spec()) is None
