"""Label smoothing, weight clipping, gradient penalty and R1, by hand and as runs."""

from collections.abc import Callable
from math import log
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlib.losses.adversarial import minimax_discriminator_loss
from ganlib.networks.players import Networks
from ganlib.spec.job import JobSpec, training_identity
from ganlib.spec.parse import parse_spec
from ganlib.techniques.base import StepBatch
from ganlib.techniques.gradient_penalty import GradientPenaltySpec, slopes_of
from ganlib.techniques.label_smoothing import LabelSmoothingSpec
from ganlib.techniques.r1 import R1Spec
from ganlib.techniques.weight_clipping import WeightClippingSpec
from ganlib.training.state import build_state
from ganlib.training.step import train_step

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]
CPU = torch.device("cpu")

WASSERSTEIN = {"losses": {"discriminator": "wasserstein", "generator": "wasserstein"}}
EXACT_TECHNIQUES: dict[str, dict[str, Any]] = {
    "label_smoothing": {"techniques": [{"technique": "label_smoothing"}]},
    "weight_clipping": {"techniques": [{"technique": "weight_clipping"}], **WASSERSTEIN},
    "gradient_penalty": {
        "techniques": [{"technique": "gradient_penalty"}],
        "discriminator_steps": 2,
        **WASSERSTEIN,
    },
    "r1": {"techniques": [{"technique": "r1", "every": 2}]},
    "all penalties in bfloat16": {
        "techniques": [{"technique": "r1"}, {"technique": "gradient_penalty"}],
        "precision": "bfloat16",
    },
}


@pytest.mark.parametrize("changes", EXACT_TECHNIQUES.values(), ids=EXACT_TECHNIQUES.keys())
def test_the_same_bytes_come_out_whether_stopped_or_not(
    make_spec: MakeSpec, run_training: RunTraining, changes: dict[str, Any]
) -> None:
    spec = make_spec(**changes, log_every=1, sample_every=1)
    whole = run_training(spec)
    for stop_at in (1, 3):
        first = run_training(spec, stop_at=stop_at)
        second = run_training(spec, resume_from=first.out_dir / f"checkpoints/{stop_at:08d}.safetensors")
        both = first.files() | second.files()
        assert {name: both[name] for name in whole.files()} == whole.files()
        assert first.numbers() + second.numbers() == whole.numbers()


@pytest.mark.parametrize("changes", EXACT_TECHNIQUES.values(), ids=EXACT_TECHNIQUES.keys())
def test_each_survives_being_written_and_read_and_makes_another_run(
    make_spec: MakeSpec, changes: dict[str, Any]
) -> None:
    spec = make_spec(**changes)
    assert parse_spec(spec.model_dump(mode="json")) == spec
    assert training_identity(spec) != training_identity(make_spec(**{**changes, "techniques": []}))


def logits(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_a_smoothed_target_is_a_share_of_both_cross_entropies(make_spec: MakeSpec) -> None:
    technique = LabelSmoothingSpec(real_target=0.9).build(make_spec())
    loss = technique.choose_discriminator_loss(minimax_discriminator_loss)
    # sigmoid(ln 3) = 3/4: real 0.9 · -log(3/4) + 0.1 · -log(1/4); the fake's target stays 0: -log(1 - 3/4).
    expected = -0.9 * log(3 / 4) - 0.1 * log(1 / 4) - log(1 / 4)
    assert loss(logits(log(3)), logits(log(3))).item() == pytest.approx(expected, rel=1e-12)


def test_a_smoothed_loss_is_least_where_real_images_are_judged_as_the_target(make_spec: MakeSpec) -> None:
    technique = LabelSmoothingSpec(real_target=0.75).build(make_spec())
    loss = technique.choose_discriminator_loss(minimax_discriminator_loss)
    best = logits(log(3)).requires_grad_()
    loss(best, logits(-5)).backward()
    assert best.grad is not None
    assert best.grad.item() == pytest.approx(0, abs=1e-12)
    # Without smoothing the pull goes on: the gradient is -sigmoid(-log 3) = -1/4.
    plain = logits(log(3)).requires_grad_()
    minimax_discriminator_loss(plain, logits(-5)).backward()
    assert plain.grad is not None
    assert plain.grad.item() == pytest.approx(-0.25, rel=1e-12)


def test_weights_beyond_the_bound_are_clipped_and_others_left(make_spec: MakeSpec) -> None:
    discriminator = nn.Linear(4, 1)
    with torch.no_grad():
        discriminator.weight.copy_(torch.tensor([[0.3, -0.3, 0.1, -0.1]]))
        discriminator.bias.fill_(-7)
    WeightClippingSpec(bound=0.2).build(make_spec()).after_discriminator_update(
        Networks(nn.Identity(), discriminator)
    )
    assert discriminator.weight.flatten().tolist() == pytest.approx([0.2, -0.2, 0.1, -0.1])
    assert discriminator.bias.item() == pytest.approx(-0.2)


def test_weights_are_within_the_bound_after_each_iteration(make_spec: MakeSpec) -> None:
    state = build_state(make_spec(**EXACT_TECHNIQUES["weight_clipping"]), CPU)
    before = max(weights.abs().max().item() for weights in state.networks.discriminator.parameters())
    train_step(state)
    after = max(weights.abs().max().item() for weights in state.networks.discriminator.parameters())
    assert before > 0.05
    assert after == pytest.approx(0.01)


class Linear(nn.Module):
    """D(x) = w·x, whose slope is w everywhere."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight[:, None]


class Squares(nn.Module):
    """D(x) = scale · ‖x‖² / 2, whose slope is scale · x."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * images.flatten(1).square().sum(1, keepdim=True) / 2


def images(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)[:, None, None, :]


def batch(real: Tensor, fake: Tensor, iteration: int = 1) -> StepBatch:
    none = torch.zeros(len(real))
    return StepBatch(
        real_images=real, fake_images=fake, latents=none, real_logits=none, fake_logits=none, iteration=iteration
    )


def penalty_of(job_spec: JobSpec, discriminator: nn.Module, step: StepBatch, **fields: Any) -> Tensor:
    networks = Networks(nn.Identity(), discriminator)
    technique = GradientPenaltySpec(**fields).build(job_spec)
    technique.start(networks)
    return technique.discriminator_penalty(networks, step)


def test_the_gradient_penalty_of_a_linear_discriminator_is_the_squared_excess_of_its_slope(
    make_spec: MakeSpec,
) -> None:
    step = batch(images([1, 2], [0, 1]), images([-1, 0], [5, 5]))
    # ‖(3, 4)‖ = 5: 10 · (5 - 1)² = 160; its derivative by w is 10 · 2 · 4 · w/5 = (48, 64).
    discriminator = Linear(3, 4)
    penalty = penalty_of(make_spec(), discriminator, step)
    penalty.backward()  # type: ignore[no-untyped-call]
    assert penalty.item() == pytest.approx(160, rel=1e-6)
    assert discriminator.weight.grad is not None
    assert discriminator.weight.grad.tolist() == pytest.approx([48, 64], rel=1e-6)
    assert penalty_of(make_spec(), Linear(0.6, 0.8), step).item() == pytest.approx(0, abs=1e-10)
    # A slope that is too small is punished as well: 2 · (0 - 1)².
    assert penalty_of(make_spec(), Linear(0, 0), step, weight=2).item() == pytest.approx(2)


def test_the_gradient_penalty_looks_between_real_and_fake_images(make_spec: MakeSpec) -> None:
    # On the line from (2, 0) to (4, 0) the slope of ‖x‖²/2 is between 2 and 4: the penalty between 1 and 9.
    count = 200
    real, fake = images(*[[2.0, 0.0]] * count), images(*[[4.0, 0.0]] * count)
    mean = penalty_of(make_spec(), Squares(1), batch(real, fake), weight=1).item()
    # The mean of (s - 1)² for s uniform in [2, 4] is 13/3; its spread over 200 points is about 0.17.
    assert mean == pytest.approx(13 / 3, abs=0.7)
    same = penalty_of(make_spec(), Squares(1), batch(real, real), weight=1).item()
    assert same == pytest.approx(1, rel=1e-5)


def test_a_slope_of_0_leaves_gradients_that_are_numbers(make_spec: MakeSpec) -> None:
    discriminator = Linear(0, 0)
    penalty_of(make_spec(), discriminator, batch(images([1, 2]), images([3, 4]))).backward()  # type: ignore[no-untyped-call]
    assert discriminator.weight.grad is not None
    assert discriminator.weight.grad.isfinite().all()


def r1_of(job_spec: JobSpec, discriminator: nn.Module, step: StepBatch, **fields: Any) -> Tensor | None:
    return R1Spec(**fields).build(job_spec).discriminator_penalty(Networks(nn.Identity(), discriminator), step)


def test_r1_is_half_of_gamma_times_the_mean_squared_slope_at_real_images(make_spec: MakeSpec) -> None:
    # Slopes 2·(1, 2) and 2·(0, 1): squares 20 and 4, mean 12; 3/2 · 12 = 18; by scale 3/2 · 2 · 2 · (5 + 1)/2 = 18
    discriminator = Squares(2)
    penalty = r1_of(make_spec(), discriminator, batch(images([1, 2], [0, 1]), images([9, 9], [9, 9])), gamma=3)
    assert penalty is not None
    penalty.backward()  # type: ignore[no-untyped-call]
    assert penalty.item() == pytest.approx(18, rel=1e-6)
    assert discriminator.scale.grad is not None
    assert discriminator.scale.grad.item() == pytest.approx(18, rel=1e-6)


def test_lazy_r1_comes_every_n_iterations_and_n_times_as_strong(make_spec: MakeSpec) -> None:
    real = images([3, 4])
    found = [r1_of(make_spec(), Linear(3, 4), batch(real, real, n), gamma=2, every=4) for n in range(1, 9)]
    values = [None if penalty is None else penalty.item() for penalty in found]
    assert values == [None, None, None, 100, None, None, None, 100]


def test_slopes_are_float32_also_where_the_run_computes_in_bfloat16() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(4 * 36, 1))
    pictures = torch.randn(5, 1, 8, 8)
    exact = slopes_of(network, pictures)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network(pictures).dtype == torch.bfloat16
        inside = slopes_of(network, pictures)
        from_bfloat16 = slopes_of(network, pictures.bfloat16())
    assert torch.equal(inside, exact)
    assert from_bfloat16.dtype == exact.dtype == torch.float32


def test_the_second_derivative_matches_a_numeric_one() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 1)).double()
    pictures = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    weights = next(network.parameters())

    def penalty(value: Tensor) -> Tensor:
        def judge(points: Tensor) -> Tensor:
            logits: Tensor = torch.func.functional_call(network, {"0.weight": value}, (points,))
            return logits

        return slopes_of(judge, pictures).square().sum(1).mean()

    assert torch.autograd.gradcheck(penalty, (weights.detach().clone().requires_grad_(),))
