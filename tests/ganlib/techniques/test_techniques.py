"""Techniques: the slots, and the averaged generator by hand."""

import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganlib import techniques
from ganlib.losses.adversarial import DiscriminatorLoss, GeneratorLoss
from ganlib.networks.players import Networks
from ganlib.spec.job import JobSpec
from ganlib.techniques import TECHNIQUES, TechniqueSpec
from ganlib.techniques.base import StepBatch, Technique
from ganlib.techniques.ema_generator import EmaGeneratorSpec
from ganlib.training.checkpoint import load_checkpoint, take_snapshot, write_checkpoint
from ganlib.training.state import build_state
from ganlib.training.step import train_step

MakeSpec = Callable[..., JobSpec]
CPU = torch.device("cpu")


class Everything(Technique):
    """Fills every slot and notes each call."""

    mixes_items = True

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.counter = torch.zeros(())

    def wrap_generator(self, generator: nn.Module) -> nn.Module:
        return nn.Sequential(generator, nn.Hardtanh(-0.5, 0.5))

    def wrap_discriminator(self, discriminator: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Identity(), discriminator)

    def start(self, networks: Networks) -> None:
        self.calls.append("start")

    def choose_discriminator_loss(self, loss: DiscriminatorLoss) -> DiscriminatorLoss:
        return lambda real, fake: loss(real, fake) * 0 + 3

    def choose_generator_loss(self, loss: GeneratorLoss) -> GeneratorLoss:
        return lambda fake: loss(fake) * 0 + 5

    def discriminator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor:
        assert batch.real_logits is not None
        assert batch.real_logits.shape == batch.fake_logits.shape == (len(batch.real_images),)
        self.calls.append("discriminator_penalty")
        return torch.tensor(10.0)

    def after_discriminator_update(self, networks: Networks) -> None:
        self.calls.append("after_discriminator_update")

    def generator_penalty(self, networks: Networks, batch: StepBatch) -> Tensor:
        assert batch.iteration >= 1
        assert batch.fake_images.abs().max() <= 0.5
        self.calls.append("generator_penalty")
        return torch.tensor(20.0)

    def after_iteration(self, networks: Networks, iteration: int) -> None:
        self.calls.append(f"after_iteration {iteration}")
        self.counter += 1

    def state_dict(self) -> dict[str, Tensor]:
        return {"counter": self.counter}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        self.counter.copy_(tensors["counter"])


@pytest.fixture
def spec_with_everything(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> JobSpec:
    monkeypatch.setattr(EmaGeneratorSpec, "build", lambda section, spec: Everything())
    return make_spec(techniques=[{"technique": "ema_generator"}])


def test_every_slot_is_called_in_order_and_takes_effect(spec_with_everything: JobSpec) -> None:
    state = build_state(spec_with_everything, CPU)
    result = train_step(state)
    (technique,) = state.techniques
    assert isinstance(technique, Everything)
    assert technique.calls == [
        "start", "discriminator_penalty", "after_discriminator_update", "generator_penalty", "after_iteration 1",
    ]  # fmt: skip
    assert (result.discriminator_loss.item(), result.generator_loss.item()) == (13, 25)
    assert not state.joins_passes


def test_a_techniques_state_is_in_the_checkpoint(spec_with_everything: JobSpec, tmp_path: typing.Any) -> None:
    state = build_state(spec_with_everything, CPU)
    train_step(state)
    train_step(state)
    write_checkpoint(take_snapshot(state), tmp_path / "saved")
    again = build_state(spec_with_everything, CPU)
    load_checkpoint(tmp_path / "saved", again)
    assert again.techniques[0].state_dict()["counter"].item() == 2


def test_an_empty_technique_changes_nothing(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = take_and_step(make_spec())
    monkeypatch.setattr(EmaGeneratorSpec, "build", lambda section, spec: Technique())
    empty = take_and_step(make_spec(techniques=[{"technique": "ema_generator"}]))
    assert plain.keys() == empty.keys()
    assert all(torch.equal(plain[name], empty[name]) for name in plain)


def take_and_step(spec: JobSpec) -> dict[str, Tensor]:
    state = build_state(spec, CPU)
    train_step(state)
    return take_snapshot(state).tensors


def average_after(weights: list[float], spec: EmaGeneratorSpec, job_spec: JobSpec) -> float:
    """Return the average once the only weight has had these values after iterations 0, 1, 2, …."""
    generator = nn.Linear(1, 1, bias=False)
    networks = Networks(generator, nn.Identity())
    technique = spec.build(job_spec)
    for iteration, value in enumerate(weights):
        nn.init.constant_(generator.weight, value)
        technique.after_iteration(networks, iteration) if iteration else technique.start(networks)
    sampler = technique.choose_sampler(generator)
    assert sampler is not generator
    return float(sampler.weight.item())  # type: ignore[arg-type, union-attr, operator]


def test_the_average_moves_by_one_minus_decay(make_spec: MakeSpec) -> None:
    # 8 → 0.75·8 + 0.25·4 = 7 → 0.75·7 + 0.25·3 = 6
    assert average_after([8, 4, 3], EmaGeneratorSpec(decay=0.75), make_spec()) == pytest.approx(6)
    assert average_after([8, 4, 3], EmaGeneratorSpec(decay=0), make_spec()) == pytest.approx(3)


def test_until_its_start_the_average_is_a_copy(make_spec: MakeSpec) -> None:
    # Copies 4 at iteration 1, then 0.5·4 + 0.5·2 = 3
    assert average_after([8, 4, 2], EmaGeneratorSpec(decay=0.5, start=1), make_spec()) == pytest.approx(3)


def test_samples_come_from_the_average_and_its_statistics(make_spec: MakeSpec) -> None:
    state = build_state(make_spec(techniques=[{"technique": "ema_generator", "decay": 0.5}]), CPU)
    first = state.networks.generator[2].running_mean.clone()  # type: ignore[index]
    train_step(state)
    second = state.networks.generator[2].running_mean  # type: ignore[index]
    sampler = state.techniques[0].choose_sampler(state.networks.generator)
    assert torch.allclose(sampler[2].running_mean, (first + second) / 2)  # type: ignore[index]
    assert not sampler.training


def test_every_file_of_the_folder_gives_the_spec_its_section() -> None:
    files = {path.stem for path in Path(techniques.__file__).parent.glob("*.py")} - {"__init__", "base"}
    assert files == TECHNIQUES.keys()
    assert set(typing.get_args(typing.get_args(TechniqueSpec)[0])) == set(TECHNIQUES.values())


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_section_says_what_its_technique_does(make_spec: MakeSpec, name: str) -> None:
    """The dashboard and the service read these facts without building the technique."""
    section = TECHNIQUES[name](**({"until": 3} if name == "instance_noise" else {}))
    technique = section.build(make_spec())
    assert section.adds_to_discriminator_loss == is_overridden(technique, "discriminator_penalty")
    assert section.draws_samples == is_overridden(technique, "choose_sampler")


def is_overridden(technique: Technique, slot: str) -> bool:
    return getattr(type(technique), slot) is not getattr(Technique, slot)


def test_reading_all_sections_loads_no_torch() -> None:
    code = (
        "import sys, ganlib.spec.parse; print([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
