"""Heads and losses of discriminators that tell classes, against numbers worked out by hand."""

from math import exp, log

import pytest
import torch
from torch import Tensor

from ganlib.losses.adversarial import (
    GENERATOR_LOSSES,
    catgan_discriminator_loss,
    catgan_generator_loss,
    entropies,
    entropy_of_mean,
    mean_entropy,
    minimax_discriminator_loss,
    non_saturating_generator_loss,
)
from ganlib.losses.heads import HEADS, ONE_LOGIT, class_loss


def logits(*probabilities: tuple[float, ...]) -> Tensor:
    """Return logits (N, K) float64 of which the softmax is proportional to these rows."""
    return torch.tensor(probabilities, dtype=torch.float64).log()


def test_one_logit_is_itself_and_tells_no_classes() -> None:
    outputs = torch.tensor([[2.0], [-1.0]])
    assert ONE_LOGIT.source(outputs).tolist() == ONE_LOGIT.realness(outputs).tolist() == [2, -1]
    with pytest.raises(ValueError, match="has no classes"):
        ONE_LOGIT.class_logits(outputs)


def test_k_logits_judge_an_image_by_the_sum_of_their_exponentials() -> None:
    """Salimans et al. (2016), section 5: Z = 1 + 2 = 3, so D = 3/4 and its logit is log 3."""
    head, outputs = HEADS["semi_supervised"], logits((1, 2))
    assert head.source(outputs).item() == head.realness(outputs).item() == pytest.approx(log(3))
    assert torch.sigmoid(head.source(outputs)).item() == pytest.approx(3 / 4)
    # Not the largest logit, which would be log 2, nor their mean.
    assert head.source(outputs).item() > log(2) + 0.4
    assert class_loss(head.class_logits(outputs), torch.tensor([1])).item() == pytest.approx(-log(2 / 3))
    assert class_loss(head.class_logits(outputs), torch.tensor([0])).item() == pytest.approx(-log(1 / 3))


def test_of_k_plus_one_logits_the_last_is_that_of_the_class_fake() -> None:
    """p = (1, 2, 5)/8: not fake with 3/8, and then the second class with 2/3."""
    head, outputs = HEADS["semi_supervised_fake_class"], logits((1, 2, 5))
    assert head.source(outputs).item() == pytest.approx(log(3 / 5))
    assert torch.sigmoid(head.realness(outputs)).item() == pytest.approx(3 / 8)
    assert class_loss(head.class_logits(outputs), torch.tensor([1])).item() == pytest.approx(-log(2 / 3))
    # Were the first logit that of `fake`, p(not fake) would be 7/8.
    assert torch.sigmoid(head.source(outputs)).item() < 0.4


def test_k_logits_are_k_plus_one_with_the_last_at_zero() -> None:
    outputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with_zero = torch.cat([outputs, torch.zeros(5, 1)], dim=1)
    implicit, explicit = HEADS["semi_supervised"], HEADS["semi_supervised_fake_class"]
    assert torch.allclose(implicit.source(outputs), explicit.source(with_zero))
    assert torch.equal(implicit.class_logits(outputs), explicit.class_logits(with_zero))


@pytest.mark.parametrize("kind", ["shared_trunk", "auxiliary"])
def test_the_first_of_one_plus_k_outputs_is_the_source_and_the_others_are_the_classes(kind: str) -> None:
    head, outputs = HEADS[kind], torch.cat([torch.full((1, 1), 7.0), logits((1, 3))], dim=1)
    assert head.source(outputs).tolist() == head.realness(outputs).tolist() == [7]
    assert class_loss(head.class_logits(outputs), torch.tensor([1])).item() == pytest.approx(-log(3 / 4))
    # Were the source counted as a class, class 1 would be the first of the two.
    assert class_loss(outputs, torch.tensor([1])).item() > 7


def test_categories_are_all_the_outputs_and_certainty_is_realness() -> None:
    head, outputs = HEADS["categories"], logits((1, 1), (1, 3))
    assert head.source(outputs) is outputs
    assert head.class_logits(outputs) is outputs
    assert head.realness(outputs).tolist() == pytest.approx([-log(2), -(log(4) - 3 / 4 * log(3))])
    assert head.realness(outputs)[1] > head.realness(outputs)[0]


def test_the_loss_of_classes_is_a_mean_over_the_batch() -> None:
    outputs = logits((1, 3), (1, 1))
    assert class_loss(outputs, torch.tensor([1, 0])).item() == pytest.approx((log(4 / 3) + log(2)) / 2)


def test_the_thesiss_boundary_case_costs_about_twenty() -> None:
    """Winkler (2018), section 4.2: three outputs, a real image called fake, and a fake called class 1.

    Real (0, 0, 10) with label 0: −log p(not fake) = log(2 + e¹⁰) − log 2 = 9.307 and −log p(0 | not fake) = log 2
    make up −log p(label) over all three outputs, 10.0001. Fake (0, 10, 0): −log p(fake) = 10.0001.
    """
    head = HEADS["semi_supervised_fake_class"]
    real, fake = torch.tensor([[0.0, 0.0, 10.0]]).double(), torch.tensor([[0.0, 10.0, 0.0]]).double()
    label = torch.tensor([0])
    ten = log(2 + exp(10))
    nothing = head.source(torch.zeros(1, 3).double()) - 1000
    assert minimax_discriminator_loss(head.source(real), nothing).item() == pytest.approx(ten - log(2))
    assert class_loss(head.class_logits(real), label).item() == pytest.approx(log(2))
    assert class_loss(real, label).item() == pytest.approx(ten) == pytest.approx(10, abs=1e-3)
    both = minimax_discriminator_loss(head.source(real), head.source(fake))
    whole = (both + class_loss(head.class_logits(real), label)).item()
    assert whole == pytest.approx(2 * ten) == pytest.approx(20, abs=1e-3)


def test_a_discriminator_that_is_right_pays_next_to_nothing() -> None:
    """The other side of the boundary: e⁻¹⁰ for the class, e⁻¹⁰ for real, and 2 e⁻¹⁰ for fake."""
    head = HEADS["semi_supervised_fake_class"]
    real, fake = torch.tensor([[10.0, 0.0, 0.0]]).double(), torch.tensor([[0.0, 0.0, 10.0]]).double()
    both = minimax_discriminator_loss(head.source(real), head.source(fake))
    whole = (both + class_loss(head.class_logits(real), torch.tensor([0]))).item()
    assert whole == pytest.approx(4 * exp(-10), rel=1e-3)


@pytest.mark.parametrize(("name", "pull"), [("non_saturating", 1 / 3), ("minimax", 2 / 3)])
def test_the_generator_moves_away_from_the_class_fake(name: str, pull: float) -> None:
    """At (0, 0, 0) p(not fake) = 2/3. The thesis (3.4.6) once says that G approaches `fake`; it must leave it."""
    outputs = torch.zeros(1, 3, requires_grad=True)
    GENERATOR_LOSSES[name](HEADS["semi_supervised_fake_class"].source(outputs)).backward()
    assert outputs.grad is not None
    assert outputs.grad[0].tolist() == pytest.approx([-pull / 2, -pull / 2, pull])
    # The control: the loss that the trap describes has the opposite sign at the class fake.
    trapped = torch.zeros(1, 3, requires_grad=True)
    class_loss(trapped, torch.tensor([2])).backward()
    assert trapped.grad is not None
    assert trapped.grad[0, 2] < 0


def test_entropies_by_hand() -> None:
    quarter = log(4) - 3 / 4 * log(3)
    rows = logits((3, 1), (1, 3), (1, 1))
    assert entropies(rows).tolist() == pytest.approx([quarter, quarter, log(2)])
    assert mean_entropy(rows).item() == pytest.approx((2 * quarter + log(2)) / 3)
    assert entropy_of_mean(rows).item() == pytest.approx(log(2))
    # The mean of the logits is not that of the probabilities: (1, 0) and (1/2, 1/2) are (3/4, 1/4) on average.
    certain = torch.tensor([[0.0, -60.0], [0.0, 0.0]]).double()
    assert entropy_of_mean(certain).item() == pytest.approx(quarter)


def test_catgans_losses_by_hand() -> None:
    quarter = log(4) - 3 / 4 * log(3)
    real, fake = logits((3, 1), (1, 3)), logits((1, 1), (1, 1), (3, 1), (3, 1))
    mean_fake = (log(2) + quarter) / 2
    assert catgan_discriminator_loss(real, fake).item() == pytest.approx(quarter - log(2) - mean_fake)
    mixed = log(8) - 5 / 8 * log(5) - 3 / 8 * log(3)
    assert catgan_generator_loss(fake).item() == pytest.approx(mean_fake - mixed)
    # Swapped, real images would have to be the uncertain ones.
    assert catgan_discriminator_loss(fake, real).item() > catgan_discriminator_loss(real, fake).item() + 0.1


def test_catgans_losses_are_least_where_the_paper_says() -> None:
    """Certain of real images, all categories alike, uniform on fakes: −2 log K. The generator: −log K."""
    certain, uniform = 60 * torch.eye(4).double(), torch.zeros(4, 4).double()
    one_category = certain[:1].expand(4, -1)
    assert catgan_discriminator_loss(certain, uniform).item() == pytest.approx(-2 * log(4))
    assert catgan_discriminator_loss(one_category, uniform).item() == pytest.approx(-log(4))
    assert catgan_discriminator_loss(certain, certain).item() == pytest.approx(-log(4))
    assert catgan_generator_loss(certain).item() == pytest.approx(-log(4))
    assert catgan_generator_loss(uniform).item() == pytest.approx(0)
    assert catgan_generator_loss(one_category).item() == pytest.approx(0)


def test_catgans_losses_stay_finite_where_probabilities_vanish() -> None:
    rows = (500 * torch.eye(3)[:2]).requires_grad_()
    loss = catgan_discriminator_loss(rows, rows) + catgan_generator_loss(rows)
    loss.backward()
    assert loss.isfinite()
    assert rows.grad is not None
    assert rows.grad.isfinite().all()


@pytest.mark.parametrize("kind", list(HEADS))
def test_gradients_of_heads_and_losses_are_the_numerical_ones(kind: str) -> None:
    head, labels = HEADS[kind], torch.tensor([0, 2, 1])
    generator = torch.Generator().manual_seed(1)
    real, fake = (
        torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2)
    )

    def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
        choose = catgan_discriminator_loss if kind == "categories" else minimax_discriminator_loss
        return choose(head.source(real), head.source(fake)) + class_loss(head.class_logits(real), labels)

    def generator_loss(fake: Tensor) -> Tensor:
        choose = catgan_generator_loss if kind == "categories" else non_saturating_generator_loss
        return choose(head.source(fake)) + head.realness(fake).sum()

    assert torch.autograd.gradcheck(discriminator_loss, (real, fake))
    assert torch.autograd.gradcheck(generator_loss, (fake,))
