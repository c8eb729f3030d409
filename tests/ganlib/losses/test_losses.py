"""Losses against numbers worked out by hand: sigmoid(0) = 1/2, sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4."""

import typing
from math import log

import pytest
import torch
from torch.autograd import gradcheck

from ganlib.losses.adversarial import (
    DISCRIMINATOR_LOSSES,
    GENERATOR_LOSSES,
    DiscriminatorLoss,
    GeneratorLoss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)
from ganlib.spec.sections.losses import LOSSES, PARTNERS, LossesSpec

# Those of one logit an image; CatGAN's and that of no GAN at all have their own tests.
ONE_LOGIT_PAIRS = [
    (DISCRIMINATOR_LOSSES[name], GENERATOR_LOSSES[partner])
    for name, partners in PARTNERS.items()
    for partner in partners
    if name not in ("catgan", "none")
]


def logits(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_minimax_discriminator_loss_is_the_cross_entropy_of_both_sides() -> None:
    loss = minimax_discriminator_loss(logits(log(3), 0), logits(-log(3), log(3)))
    real_part = (-log(3 / 4) - log(1 / 2)) / 2
    fake_part = (-log(1 - 1 / 4) - log(1 - 3 / 4)) / 2
    assert loss.item() == pytest.approx(real_part + fake_part, rel=1e-12)


def test_a_discriminator_that_is_right_pays_less_than_one_that_is_wrong() -> None:
    right = minimax_discriminator_loss(logits(log(3)), logits(-log(3)))
    wrong = minimax_discriminator_loss(logits(-log(3)), logits(log(3)))
    assert right.item() == pytest.approx(2 * log(4 / 3), rel=1e-12)
    assert wrong.item() == pytest.approx(2 * log(4), rel=1e-12)


def test_a_discriminator_that_cannot_tell_pays_twice_the_logarithm_of_two() -> None:
    assert minimax_discriminator_loss(logits(0, 0), logits(0)).item() == pytest.approx(2 * log(2), rel=1e-12)


def test_minimax_generator_loss_is_the_mean_log_of_being_found_out() -> None:
    loss = minimax_generator_loss(logits(log(3), -log(3)))
    assert loss.item() == pytest.approx((log(1 / 4) + log(3 / 4)) / 2, rel=1e-12)


def test_non_saturating_generator_loss_is_the_mean_log_of_being_believed() -> None:
    loss = non_saturating_generator_loss(logits(log(3), -log(3), 0))
    assert loss.item() == pytest.approx((-log(3 / 4) - log(1 / 4) - log(1 / 2)) / 3, rel=1e-12)


def test_least_squares_losses_are_half_the_squared_distances_from_their_labels() -> None:
    # ½ ((3-1)² + (-1-1)²)/2 = 2 and ½ (2² + 4²)/2 = 5; for the generator ½ ((2-1)² + (4-1)²)/2 = 2.5
    assert least_squares_discriminator_loss(logits(3, -1), logits(2, 4)).item() == pytest.approx(7, rel=1e-12)
    assert least_squares_generator_loss(logits(2, 4)).item() == pytest.approx(2.5, rel=1e-12)
    assert least_squares_discriminator_loss(logits(1, 1), logits(0)).item() == 0
    assert least_squares_discriminator_loss(logits(0), logits(1)).item() == 1


def test_hinge_loss_of_the_discriminator_stops_at_the_margin() -> None:
    # (max(0, 1-3) + max(0, 1-0.5))/2 = 0.25 and (max(0, 1-4) + max(0, 1+2))/2 = 1.5
    assert hinge_discriminator_loss(logits(3, 0.5), logits(-4, 2)).item() == pytest.approx(1.75, rel=1e-12)
    assert hinge_discriminator_loss(logits(1, 7), logits(-1, -9)).item() == 0
    assert hinge_discriminator_loss(logits(-1), logits(1)).item() == 4


def test_wasserstein_loss_is_minus_the_gap_between_real_and_fake() -> None:
    assert wasserstein_discriminator_loss(logits(3, 5), logits(1, -2, 4)).item() == pytest.approx(1 - 4, rel=1e-12)
    assert wasserstein_discriminator_loss(logits(1), logits(4)).item() == 3


@pytest.mark.parametrize("loss", [hinge_generator_loss, wasserstein_generator_loss])
def test_linear_generator_losses_are_minus_the_mean_logit(loss: GeneratorLoss) -> None:
    assert loss(logits(1, -2, 4)).item() == pytest.approx(-1, rel=1e-12)
    assert loss(logits(-6)).item() == 6


@pytest.mark.parametrize("loss", [discriminator_loss for discriminator_loss, _ in ONE_LOGIT_PAIRS])
def test_a_discriminator_that_is_right_pays_less_whatever_its_loss(loss: DiscriminatorLoss) -> None:
    assert loss(logits(0.8), logits(-0.2)).item() < loss(logits(-0.2), logits(0.8)).item()


@pytest.mark.parametrize("loss", [generator_loss for _, generator_loss in ONE_LOGIT_PAIRS])
def test_a_generator_that_is_believed_pays_less(loss: GeneratorLoss) -> None:
    assert loss(logits(1.0)).item() < loss(logits(-1.0)).item()


def test_only_the_minimax_gradient_vanishes_where_the_discriminator_is_sure() -> None:
    slopes = []
    for loss in (minimax_generator_loss, non_saturating_generator_loss):
        sure = logits(-20).requires_grad_()
        loss(sure).backward()
        assert sure.grad is not None
        slopes.append(sure.grad.item())
    assert slopes[0] == pytest.approx(-2.06e-9, rel=1e-3)
    assert slopes[1] == pytest.approx(-1.0, abs=1e-8)


def test_losses_stay_finite_for_extreme_logits() -> None:
    extreme = torch.tensor([-1e4, 1e4])
    assert minimax_discriminator_loss(extreme, extreme).item() == pytest.approx(1e4)
    assert minimax_generator_loss(extreme).item() == pytest.approx(-5e3)
    assert non_saturating_generator_loss(extreme).item() == pytest.approx(5e3)


def test_gradients_match_numeric_ones() -> None:
    torch.manual_seed(0)
    real, fake = (3 * torch.randn(5, dtype=torch.float64) for _ in range(2))
    for discriminator_loss, generator_loss in ONE_LOGIT_PAIRS:
        assert gradcheck(discriminator_loss, (real.requires_grad_(), fake.requires_grad_()))
        assert gradcheck(generator_loss, (fake,))


def test_every_loss_of_the_spec_has_its_function() -> None:
    hints = typing.get_type_hints(LossesSpec)
    assert set(typing.get_args(hints["discriminator"])) == DISCRIMINATOR_LOSSES.keys()
    assert set(typing.get_args(hints["generator"])) == GENERATOR_LOSSES.keys()


def test_positive_losses_are_never_below_0_and_others_can_be() -> None:
    torch.manual_seed(0)
    real, fake = (10 * torch.randn(1000, dtype=torch.float64) for _ in range(2))
    for name, facts in LOSSES.items():
        for partner in facts.partners:
            if facts.takes_categories or name == "none":
                assert partner not in facts.positive
                continue
            least = min(
                min(DISCRIMINATOR_LOSSES[name](one, other).item() for one, other in zip(real, fake, strict=True)),
                min(GENERATOR_LOSSES[partner](one).item() for one in fake),
            )
            assert (least >= 0) == (partner in facts.positive), (name, partner)


@pytest.mark.parametrize("name", [name for name, facts in LOSSES.items() if facts.certain_logits])
def test_beyond_certain_logits_a_loss_is_nearly_as_low_as_it_gets(name: str) -> None:
    certain = LOSSES[name].certain_logits
    assert certain is not None
    loss = DISCRIMINATOR_LOSSES[name](logits(certain[0]), logits(certain[1])).item()
    undecided = DISCRIMINATOR_LOSSES[name](logits(sum(certain) / 2), logits(sum(certain) / 2)).item()
    assert 0 <= loss < undecided / 10


def test_every_loss_has_a_partner() -> None:
    assert PARTNERS.keys() == DISCRIMINATOR_LOSSES.keys()
    assert {name for partners in PARTNERS.values() for name in partners} == GENERATOR_LOSSES.keys()
