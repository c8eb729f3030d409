"""Devices, seen through a stand-in for nvidia-smi on the PATH."""

from pathlib import Path

import pytest

from worker.machine import devices


@pytest.fixture(autouse=True)
def two_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H200'\necho 'NVIDIA L4'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices._read_gpu_names.cache_clear()
    yield
    devices._read_gpu_names.cache_clear()


def test_a_machine_with_cards_offers_cuda_and_names_the_first() -> None:
    assert (devices.list_devices(), devices.describe_device()) == (["cpu", "cuda"], "NVIDIA H200")


@pytest.mark.parametrize(
    ("visible", "name"), [("1", "NVIDIA L4"), ("1,0", "NVIDIA L4"), ("GPU-5fe", "NVIDIA H200")]
)
def test_the_card_that_is_visible_is_named(monkeypatch: pytest.MonkeyPatch, visible: str, name: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.describe_device() == name


@pytest.mark.parametrize("visible", ["", "-1"])
def test_hidden_cards_are_not_offered(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.list_devices() == ["cpu"]
    assert "NVIDIA" not in devices.describe_device()


def test_a_machine_without_cards_offers_its_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert devices.list_devices() == ["cpu"]
    assert devices.describe_device()
