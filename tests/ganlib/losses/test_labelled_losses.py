"""What an update adds up from real, fake and labelled images, and what techniques make of several outputs."""

from collections.abc import Callable
from math import log, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlib.spec.job import JobSpec
from ganlib.techniques.base import StepBatch
from ganlib.training import step
from ganlib.training.data import RealBatch
from ganlib.training.state import TrainingState, build_state
from ganlib.training.step import Fakes, train_step, update_discriminator
from tests.support.labelled import ACGAN, CONDITIONAL_GENERATOR, FAKE_CLASS

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

CPU = torch.device("cpu")
# Of ten classes, nine logits of 0 and one of log 9: that one has the probability 1/2.
HALF = [0.0] * 3 + [log(9)] + [0.0] * 6
EVEN = [0.0] * 10


def scripted(state: TrainingState, monkeypatch: pytest.MonkeyPatch, outputs: dict[str, list[float]]) -> None:
    """Let the discriminator answer by what an image is: fake, real or labelled."""
    table = torch.tensor([outputs["fake"], outputs["real"], outputs.get("labelled", outputs["real"])])
    table.requires_grad_()

    def discriminate(images: Tensor, labels: Tensor | None) -> Tensor:
        return table[images[:, 0, 0, 0].round().long()]

    monkeypatch.setattr(state.networks, "discriminate", discriminate)
    fakes = Fakes(torch.zeros(2, 8), torch.tensor([3, 3]), images_of(0))
    monkeypatch.setattr(step, "draw_fakes", lambda state: fakes)


def images_of(value: int) -> Tensor:
    return torch.full((2, 1, 8, 8), float(value))


REAL = RealBatch(images_of(1), torch.tensor([3, 3]))
UNLABELLED = RealBatch(images_of(1), None)


def test_acgan_adds_the_classes_of_real_images_and_of_fakes(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source logits of 0 cost log 2 each; p(asked class) = 1/2 for real images and 1/10 for fakes; weight 1/2.

    Odena et al. (2017), section 3: L_C is of both, and both players gain by it.
    """
    state = build_state(make_spec(**{**ACGAN, "evaluation": None}), CPU)
    scripted(state, monkeypatch, {"real": [0, *HALF], "fake": [0, *EVEN]})
    update = update_discriminator(state, REAL, None)
    assert update.loss.item() == pytest.approx(2 * log(2) + (log(2) + log(10)) / 2)
    # What is logged is that of real images alone.
    assert update.class_loss is not None
    assert update.class_loss.item() == pytest.approx(log(2))
    assert update.labelled_accuracy is not None
    assert update.labelled_accuracy.item() == 1
    # Without the fakes' term it would be less.
    assert update.loss.item() > 2 * log(2) + log(2) / 2 + 1


def test_acgans_generator_pays_for_the_class_that_it_was_asked_for(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []
    for fake in (HALF, EVEN):
        state = build_state(make_spec(**{**ACGAN, "evaluation": None}), CPU)
        with monkeypatch.context() as patch:
            scripted(state, patch, {"real": [0, *HALF], "fake": [0, *fake]})
            loss = train_step(state).generator_loss
        assert loss is not None
        losses.append(loss.item())
    assert losses == pytest.approx([log(2) + 0.3 * log(2), log(2) + 0.3 * log(10)])


def test_the_labelled_batch_alone_tells_the_classes_where_there_is_a_budget(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K + 1 outputs: real images have p(fake) = 1/2, fakes 1/11; labelled ones p(label) = 1/2 of the ten."""
    state = build_state(
        make_spec(**{**FAKE_CLASS, "losses": {"classes": {"kind": "semi_supervised_fake_class", "weight": 3}}}),
        CPU,
    )
    real, fake = [*EVEN, log(10)], [*EVEN, 0.0]
    scripted(state, monkeypatch, {"real": real, "fake": fake, "labelled": [*HALF, 5.0]})
    labelled = RealBatch(images_of(2), torch.tensor([3, 3]))
    update = update_discriminator(state, UNLABELLED, labelled)
    assert update.loss.item() == pytest.approx(log(2) + log(11) + 3 * log(2))
    # Labels of another class: p = 1/18 each, and none is told right.
    update = update_discriminator(state, UNLABELLED, RealBatch(images_of(2), torch.tensor([4, 0])))
    assert update.loss.item() == pytest.approx(log(2) + log(11) + 3 * log(18))
    assert update.labelled_accuracy is not None
    assert update.labelled_accuracy.item() == 0
    assert update.real_logits is not None
    assert update.fake_logits is not None
    assert update.real_logits.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert update.fake_logits.tolist() == pytest.approx([log(10)] * 2)


def test_without_a_budget_the_real_images_labels_are_used(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = build_state(make_spec(**FAKE_CLASS), CPU)
    scripted(state, monkeypatch, {"real": [*HALF, log(18)], "fake": [*EVEN, 0.0]})
    assert update_discriminator(state, REAL, None).loss.item() == pytest.approx(log(2) + log(11) + log(2))


ONE_PASS: dict[str, dict[str, Any]] = {
    "budget": FAKE_CLASS | {"dataset": {"name": "digits", "labels": 20}},
    "acgan": ACGAN | {"discriminator": FAKE_CLASS["discriminator"], "evaluation": None},
    "conditional": {
        "generator": CONDITIONAL_GENERATOR,
        "discriminator": {"layers": ["labels", {"layer": "conv", "size": 4, "kernel": 3}, "relu", "projection"]},
    },
    "catgan": {
        "discriminator": {"layers": [{"layer": "dense", "size": 10}]},
        "losses": {
            "discriminator": "catgan",
            "generator": "catgan",
            "classes": {"kind": "categories", "weight": 1},
        },
    },
}


@pytest.mark.parametrize("changes", ONE_PASS.values(), ids=ONE_PASS.keys())
def test_one_pass_of_all_images_gives_the_losses_of_several(make_spec: MakeSpec, changes: dict[str, Any]) -> None:
    joined, apart = (build_state(make_spec(**changes), CPU) for _ in range(2))
    assert joined.joins_passes
    apart.joins_passes = False
    for _ in range(3):
        first, second = train_step(joined), train_step(apart)
        assert first.discriminator_loss.item() == pytest.approx(second.discriminator_loss.item(), rel=1e-4)
        assert first.generator_loss is not None
        assert second.generator_loss is not None
        assert first.generator_loss.item() == pytest.approx(second.generator_loss.item(), rel=1e-4)


def linear(make_spec: MakeSpec, kind: str, technique: dict[str, Any]) -> tuple[TrainingState, StepBatch]:
    """Return a run whose D is one dense layer; row 0 of its weights has length 3, rows 1 to 9 have 1, row 10 5."""
    count = 10 if kind == "semi_supervised" else 11
    state = build_state(
        make_spec(
            discriminator={"layers": [{"layer": "dense", "size": count}]},
            losses={"classes": {"kind": kind}},
            techniques=[technique],
        ),
        CPU,
    )
    weights = state.networks.discriminator.get_parameter("0.weight")
    with torch.no_grad():
        weights.zero_()
        weights[0, 0] = 3
        weights[1:10, 1] = 1
        if count == 11:
            weights[10, 2] = 5
        state.networks.discriminator.get_parameter("0.bias").zero_()
    images = torch.zeros(2, 1, 8, 8)
    return state, StepBatch(images, images, torch.zeros(2, 8), None, torch.zeros(2), iteration=1)


@pytest.mark.parametrize(
    ("kind", "slope"),
    [
        ("shared_trunk", 3.0),
        # At 0 all ten classes are equally likely: the slope is the mean of their rows, (3, 9)/10.
        ("semi_supervised", sqrt(0.9)),
        ("semi_supervised_fake_class", sqrt(0.9 + 25)),
    ],
)
def test_slopes_are_those_of_the_realness(make_spec: MakeSpec, kind: str, slope: float) -> None:
    state, batch = linear(make_spec, kind, {"technique": "gradient_penalty", "weight": 7})
    penalty = state.techniques[0].discriminator_penalty(state.networks, batch)
    assert penalty is not None
    assert penalty.item() == pytest.approx(7 * (slope - 1) ** 2, rel=1e-5)
    state, batch = linear(make_spec, kind, {"technique": "r1", "gamma": 4})
    penalty = state.techniques[0].discriminator_penalty(state.networks, batch)
    assert penalty is not None
    assert penalty.item() == pytest.approx(2 * slope**2, rel=1e-5)
    # The sum of all outputs would have the slope (3, 9) or (3, 9, 5).
    assert slope < sqrt(90)


def test_label_smoothing_moves_the_target_of_the_realness(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten logits of 0 have the realness log 10: 0.9 · −log(10/11) + 0.1 · −log(1/11), and log 11 for the fakes."""
    state = build_state(
        make_spec(
            discriminator={"layers": [{"layer": "dense", "size": 10}]},
            losses={"classes": {"kind": "semi_supervised"}},
            techniques=[{"technique": "label_smoothing"}],
        ),
        CPU,
    )
    scripted(state, monkeypatch, {"real": EVEN, "fake": EVEN})
    expected = 0.9 * log(11 / 10) + 0.1 * log(11) + log(11) + log(10)
    assert update_discriminator(state, REAL, None).loss.item() == pytest.approx(expected)


TECHNIQUES: list[list[dict[str, Any]]] = [
    [{"technique": "gradient_penalty"}, {"technique": "feature_matching", "mode": "add"}],
    [{"technique": "r1"}, {"technique": "label_smoothing"}],
    [{"technique": "feature_matching"}, {"technique": "historical_averaging"}],
    [{"technique": "instance_noise", "until": 3}, {"technique": "diff_augment"}],
]


@pytest.mark.parametrize("techniques", TECHNIQUES, ids=lambda parts: "+".join(part["technique"] for part in parts))
@pytest.mark.parametrize("kind", ["semi_supervised", "semi_supervised_fake_class", "shared_trunk", "auxiliary"])
def test_techniques_go_with_every_kind_of_outputs(
    make_spec: MakeSpec, run_training: RunTraining, kind: str, techniques: list[dict[str, Any]]
) -> None:
    count = 10 if kind == "semi_supervised" else 11
    layers = [{"layer": "dense", "size": 12}, "leaky_relu", {"layer": "dense", "size": count}]
    run = run_training(
        make_spec(
            iterations=3,
            generator=CONDITIONAL_GENERATOR,
            discriminator={"layers": layers},
            losses={"classes": {"kind": kind}},
            techniques=techniques,
        )
    )
    assert run.of_kind("training_ended")[0].iteration == 3


@pytest.mark.parametrize("name", ["gradient_penalty", "r1"])
def test_slopes_of_a_conditional_discriminator_are_at_the_real_images_class(
    make_spec: MakeSpec, name: str
) -> None:
    """w = 0 and v[y] has the length y: the slope at an image of class y is y."""
    state = build_state(
        make_spec(
            generator=CONDITIONAL_GENERATOR,
            discriminator={"layers": ["projection"]},
            techniques=[{"technique": name}],
        ),
        CPU,
    )
    with torch.no_grad():
        state.networks.discriminator.get_parameter("0.linear.weight").zero_()
        vectors = state.networks.discriminator.get_parameter("0.embedding.weight")
        vectors.zero_()
        vectors[:, 5] = torch.arange(10.0)
    images, real, fake = torch.randn(2, 1, 8, 8), torch.tensor([2, 7]), torch.tensor([9, 9])
    batch = StepBatch(images, -images, torch.zeros(2, 8), None, torch.zeros(2), 1, real, fake)
    penalty = state.techniques[0].discriminator_penalty(state.networks, batch)
    assert penalty is not None
    expected = {"gradient_penalty": 10 * (1 + 36) / 2, "r1": 5 * (4 + 49) / 2}
    assert penalty.item() == pytest.approx(expected[name], rel=1e-5)
