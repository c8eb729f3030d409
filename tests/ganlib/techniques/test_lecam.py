"""LeCam regularisation against numbers worked out by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganlib.networks.players import Networks
from ganlib.spec.job import JobSpec
from ganlib.techniques.base import StepBatch, Technique
from ganlib.techniques.lecam import LecamSpec

MakeSpec = Callable[..., JobSpec]
NETWORKS = Networks(nn.Identity(), nn.Linear(1, 1))


def penalty(technique: Technique, real: Tensor, fake: Tensor, iteration: int = 1) -> Tensor:
    images = torch.zeros(len(real), 1)
    term = technique.discriminator_penalty(NETWORKS, StepBatch(images, images, images, real, fake, iteration))
    technique.after_iteration(NETWORKS, iteration)
    assert term is not None
    return term


def build(make_spec: MakeSpec, **fields: object) -> Technique:
    technique = LecamSpec(**fields).build(make_spec())  # type: ignore[arg-type]
    technique.start(NETWORKS)
    return technique


def test_logits_are_pulled_to_the_averages_of_the_other_kind(make_spec: MakeSpec) -> None:
    technique = build(make_spec, weight=0.5, decay=0.75, start=0)
    # The first means are the averages: a_R = 2, a_F = −1. Real: (1 + 1)² and (3 + 1)², mean 10; fake: (2 + 2)² and
    # (2 − 0)², mean 10.
    first = penalty(technique, torch.tensor([1.0, 3.0]), torch.tensor([-2.0, 0.0]), 1)
    assert first.item() == pytest.approx(0.5 * 20)
    # a_R = 0.75 · 2 + 0.25 · 6 = 3, a_F = 0.75 · (−1) + 0.25 · 3 = 0. Real: 6² = 36; fake: (3 − 3)² = 0.
    second = penalty(technique, torch.tensor([6.0, 6.0]), torch.tensor([3.0, 3.0]), 2)
    assert second.item() == pytest.approx(0.5 * 36)
    assert technique.state_dict()["averages"].tolist() == pytest.approx([3, 0])


def test_gradients_pull_both_kinds_together_and_leave_the_averages_alone(make_spec: MakeSpec) -> None:
    real, fake = torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor([-2.0, 0.0], requires_grad=True)
    penalty(build(make_spec, weight=1, start=0), real, fake).backward()  # type: ignore[no-untyped-call]
    assert real.grad is not None
    assert fake.grad is not None
    # 2 · (D − a) / 2: the averages, 2 and −1, are numbers.
    assert real.grad.tolist() == pytest.approx([2, 4])
    assert fake.grad.tolist() == pytest.approx([-4, -2])


def test_one_sided_only_logits_on_the_right_side_of_the_other_average_count(make_spec: MakeSpec) -> None:
    # Swapped kinds: a_R = −1, a_F = 2. Real (−2, 0) lie below a_F, fake (1, 3) above a_R.
    real, fake = torch.tensor([-2.0, 0.0]), torch.tensor([1.0, 3.0])
    assert penalty(build(make_spec, weight=1, start=0), real, fake).item() == pytest.approx(10 + 10)
    assert penalty(build(make_spec, weight=1, start=0, one_sided=True), real, fake).item() == 0
    assert penalty(build(make_spec, weight=1, start=0, one_sided=True), fake, real).item() == pytest.approx(20)


def test_until_its_start_it_costs_nothing_and_the_averages_are_the_last_batchs(make_spec: MakeSpec) -> None:
    technique = build(make_spec, weight=1, decay=0.5, start=2)
    for iteration, mean in ((1, 8.0), (2, 4.0)):
        assert penalty(technique, torch.full((2,), mean), torch.full((2,), -mean), iteration).item() == 0
    assert technique.state_dict()["averages"].tolist() == [4, -4]
    # Now a_R = (4 + 2)/2 = 3 and a_F = −3: (2 + 3)² + (−2 − 3)².
    assert penalty(technique, torch.full((2,), 2.0), torch.full((2,), -2.0), 3).item() == pytest.approx(50)


def test_where_nothing_is_compared_there_is_no_penalty(make_spec: MakeSpec) -> None:
    images, logits = torch.zeros(2, 1), torch.zeros(2)
    batch = StepBatch(images, images, images, None, logits, 1)
    assert build(make_spec).discriminator_penalty(NETWORKS, batch) is None


def test_the_categories_of_catgan_are_refused_and_a_critic_is_not(make_spec: MakeSpec) -> None:
    critic = make_spec(losses={"discriminator": "wasserstein", "generator": "wasserstein"})
    assert LecamSpec().find_problem("techniques.0", critic) is None
    categories = {"discriminator": "catgan", "generator": "catgan", "classes": {"kind": "categories"}}
    layers = [{"layer": "dense", "size": 10}]
    spec = make_spec(losses=categories, discriminator={"layers": layers})
    problem = LecamSpec().find_problem("techniques.0", spec)
    assert problem is not None
    assert "catgan has none" in problem.message
