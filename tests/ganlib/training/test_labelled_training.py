"""Runs that use labels: the same bytes each time, what they log, and which way the generator goes."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganlib.evaluation.evaluator import AccuracyMeter
from ganlib.evaluation.transfer import copy_layers
from ganlib.networks.normalisation import frozen_statistics
from ganlib.spec.job import JobSpec
from ganlib.training import state, step
from ganlib.training.state import TrainingState, build_state
from ganlib.training.step import train_step
from tests.support.labelled import ACGAN, CLASSIFIER, CONDITIONAL, FAKE_CLASS, FAMILIES, SEMI_SUPERVISED

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

CPU = torch.device("cpu")


@pytest.mark.parametrize("changes", FAMILIES.values(), ids=FAMILIES.keys())
def test_the_same_spec_gives_the_same_bytes_whether_stopped_or_not(
    make_spec: MakeSpec, run_training: RunTraining, changes: dict[str, Any]
) -> None:
    spec = make_spec(**changes, log_every=1, sample_every=1)
    whole = run_training(spec)
    assert run_training(spec).files() == whole.files()
    for stop_at in (1, 3):
        first = run_training(spec, stop_at=stop_at)
        second = run_training(spec, resume_from=first.out_dir / f"checkpoints/{stop_at:08d}.safetensors")
        both = first.files() | second.files()
        assert {name: both[name] for name in whole.files()} == whole.files()
        assert first.numbers() + second.numbers() == whole.numbers()


@pytest.mark.parametrize("changes", [ACGAN, CONDITIONAL], ids=["acgan", "conditional"])
def test_a_conditional_grid_shows_the_classes_in_turn_and_its_file_of_latents_says_so(
    make_spec: MakeSpec, run_training: RunTraining, changes: dict[str, Any]
) -> None:
    run = run_training(make_spec(**changes, iterations=1, samples={"rows": 2, "columns": 10}))
    stored = load_file(run.out_dir / "latents.safetensors")
    assert stored["labels"].tolist() == list(range(10)) * 2
    assert stored["latents"].shape == (20, 8)
    assert "labels" not in load_file(run_training(make_spec(iterations=1)).out_dir / "latents.safetensors")


def test_fixed_labels_are_part_of_the_latents_identity(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    def latents_of(spec: JobSpec) -> tuple[str, Tensor]:
        run = run_training(spec)
        stored = load_file(run.out_dir / "latents.safetensors")
        assert {grid.latents_sha256 for grid in run.of_kind("sample_grid_saved")} == {
            run.of_kind("latents_fixed")[0].file.sha256
        }
        return run.of_kind("latents_fixed")[0].file.sha256, stored["latents"]

    spec = make_spec(**CONDITIONAL, iterations=1)
    (digest, latents), (plain_digest, plain_latents) = latents_of(spec), latents_of(make_spec(iterations=1))
    assert torch.equal(latents, plain_latents)
    assert digest != plain_digest
    monkeypatch.setattr(state, "choose_fixed_labels", lambda spec, device: torch.arange(6) % 2)
    assert latents_of(spec)[0] != digest


def test_labels_draw_images_of_other_classes_from_the_same_latents(make_spec: MakeSpec) -> None:
    networks = build_state(make_spec(**CONDITIONAL), CPU).networks
    networks.generator.eval()
    latents = torch.randn(1, 8).expand(2, -1)
    same, other = (networks.generate(latents, torch.tensor(labels)) for labels in ([3, 3], [3, 4]))
    assert torch.equal(same[0], same[1])
    assert torch.equal(other[0], same[0])
    assert not torch.allclose(other[0], other[1])


LOGGED = {"loss/discriminator", "loss/generator", "logits/real", "logits/fake"}
TOLD = {"loss/classes", "accuracy/labelled"}
# Beside classes, real against fake is only a part of each loss.
PARTS = {"loss/discriminator_adversarial", "loss/generator_adversarial"}


def logged_names(run: Any) -> set[str]:
    names = {name for _, values in run.numbers() for name in values}
    return {name for name in names if not name.startswith("eval/") and name != "loss/log_ratio"}


def test_a_run_that_tells_classes_logs_their_loss_and_how_many_were_told_right(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    assert logged_names(run_training(make_spec(**FAKE_CLASS))) == LOGGED | TOLD | PARTS
    assert logged_names(run_training(make_spec())) == LOGGED


def test_a_classifier_without_a_gan_logs_no_generator_and_learns_its_labels(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    optimiser = {"kind": "adam", "learning_rate": 0.01}
    spec = make_spec(
        **{**CLASSIFIER, "dataset": "digits", "techniques": []},
        iterations=120,
        log_every=20,
        sample_every=120,
        optimisers={"discriminator": optimiser, "generator": optimiser},
    )
    run = run_training(spec)
    assert logged_names(run) == {"loss/discriminator"} | TOLD
    first, last = run.numbers()[0][1], run.numbers()[-1][1]
    assert first["loss/discriminator"] == first["loss/classes"] == pytest.approx(2.3, abs=1.5)
    assert last["eval/test_accuracy"] > 0.85
    assert last["eval/test_errors"] == pytest.approx(300 * (1 - last["eval/test_accuracy"]))
    # The generator stays as it was drawn: the grids of all iterations are one picture.
    assert len({grid.file.sha256 for grid in run.of_kind("sample_grid_saved")}) == 1


def test_the_generator_moves_away_from_the_class_fake(make_spec: MakeSpec) -> None:
    """The thesis (3.4.6) once says that G approaches `fake`; 60 updates of G against a D that stands still."""
    still, moving = {"kind": "sgd", "learning_rate": 1e-12}, {"kind": "adam", "learning_rate": 0.005}
    run = build_state(
        make_spec(**FAKE_CLASS, generator_advantage=60, optimisers={"discriminator": still, "generator": moving}),
        CPU,
    )

    def fake_share() -> float:
        with torch.no_grad():
            outputs = run.networks.discriminate(run.networks.generate(torch.randn(64, 8), None), None)
        return outputs.softmax(1)[:, -1].mean().item()

    torch.manual_seed(0)
    before = fake_share()
    train_step(run)
    assert fake_share() < 0.7 * before


BATCH_NORM: dict[str, Any] = {
    "discriminator": {"layers": [{"layer": "dense", "size": 5}, "batch_norm", {"layer": "dense", "size": 11}]},
    "losses": {"classes": {"kind": "shared_trunk"}},
}


def running_means(spec: JobSpec) -> tuple[Tensor, Tensor, TrainingState]:
    """Return D's running means after one iteration, and the mean activation of the first real batch."""
    run = build_state(spec, CPU)
    first = run.networks.discriminator.get_submodule("0")
    with torch.no_grad():
        real, labelled = run.data.gather(run.data.choose(1))
        activations = first(real.images)
        expected = 0.1 * activations.mean(0)
        if labelled is not None:
            expected = 0.9 * expected + 0.1 * first(labelled.images).mean(0)
    train_step(run)
    norm = run.networks.discriminator.get_submodule("1")
    assert isinstance(norm.running_mean, Tensor)
    return norm.running_mean, expected, run


@pytest.mark.parametrize("labels", [None, 20])
def test_running_statistics_of_a_classifier_are_of_real_images_alone(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, labels: int | None
) -> None:
    spec = make_spec(**BATCH_NORM, dataset={"name": "digits", "labels": labels})
    means, expected, run = running_means(spec)
    assert torch.allclose(means, expected, atol=1e-6)
    assert [norm.momentum for norm in run.real_statistics] == [0.1]
    # The control: with the guard switched off, fakes have their share.
    monkeypatch.setattr(step, "frozen_statistics", lambda norms: nullcontext())
    means, expected, _ = running_means(spec)
    assert not torch.allclose(means, expected, atol=1e-3)


def test_frozen_statistics_still_normalise_by_the_batch_and_thaw_after_an_error() -> None:
    norm = nn.BatchNorm1d(1)
    with frozen_statistics([norm]):
        assert norm(torch.tensor([[1.0], [3.0]])).flatten().tolist() == pytest.approx([-1, 1], abs=1e-4)
    assert (norm.running_mean, norm.running_var) == (torch.zeros(1), torch.ones(1))
    with pytest.raises(RuntimeError, match="should contain 3 elements"), frozen_statistics([norm]):
        norm(torch.zeros(2, 3))
    norm(torch.tensor([[1.0], [3.0]]))
    assert norm.running_mean is not None
    assert norm.running_mean.item() == pytest.approx(0.2)


@pytest.mark.parametrize("changes", FAMILIES.values(), ids=FAMILIES.keys())
def test_nothing_is_read_from_the_device_while_labels_are_used(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    run = build_state(make_spec(**changes), CPU)
    meter = AccuracyMeter(run) if run.spec.evaluation else None

    def refuse(tensor: Tensor, *_: Any) -> None:
        raise AssertionError("a number was read from the device")

    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__"):
        monkeypatch.setattr(Tensor, name, refuse)
    for _ in range(2):
        train_step(run)
    if meter:
        meter.count_errors()
    with pytest.raises(AssertionError, match="was read"):
        torch.ones(()).item()


def test_evaluating_a_classifier_changes_nothing_of_its_training(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    with_accuracy = run_training(make_spec(**SEMI_SUPERVISED))
    without = run_training(make_spec(**{**SEMI_SUPERVISED, "evaluation": None}))
    assert with_accuracy.files() == without.files()
    assert len(with_accuracy.of_kind("metrics_logged")) > len(without.of_kind("metrics_logged"))


@pytest.mark.parametrize("guarded", [True, False])
def test_the_statistics_that_frozen_layers_keep_are_of_real_images_alone(
    make_spec: MakeSpec, guarded: bool
) -> None:
    """The control lets the discriminator's batch norm count fakes too, which are two of its three passes."""
    layers = [{"layer": "conv", "size": 4, "kernel": 3}, "batch_norm", "leaky_relu", {"layer": "dense", "size": 1}]
    head = [{"layer": "dense", "size": 10}]
    frozen = {"kept_layers": 2, "head": head, "labels": 100, "frozen": True}
    state = build_state(make_spec(discriminator={"layers": layers}, transfer=frozen), CPU)
    if not guarded:
        state.real_statistics = []
    norm = state.networks.discriminator[1]  # type: ignore[index]
    means: list[Tensor] = []
    norm.register_forward_pre_hook(lambda module, given: means.append(given[0].mean((0, 2, 3))))
    for _ in range(4):
        train_step(state)
    # Each iteration: real, fake, and the generator's fakes; the running mean moves by a tenth each time.
    expected = torch.zeros_like(norm.running_mean)
    for real in means[::3]:
        expected = torch.lerp(expected, real.detach(), 0.1)
    kept = copy_layers(state.networks.discriminator, 2)[1].running_mean
    assert torch.allclose(kept, expected, atol=1e-6) is guarded
