"""Device and precision."""

import pytest
import torch

from ganlib.errors import DeviceUnavailable
from ganlib.runtime import cpu, device

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("fpu avx2 avx512f avx512bw", torch.float32),
        ("fpu avx512f avx512_bf16", torch.bfloat16),
        ("fpu amx_bf16 amx_tile", torch.bfloat16),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, flags: str, precision: torch.dtype
) -> None:
    monkeypatch.setattr(device, "read_cpu_flags", lambda: set(flags.split()))
    assert device.choose_precision("auto", CPU) == precision


def test_a_precision_that_is_asked_for_is_taken() -> None:
    assert device.choose_precision("float32", CPU) == torch.float32
    assert device.choose_precision("bfloat16", CPU) == torch.bfloat16


def test_cuda_that_is_not_there_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceUnavailable, match="set device to auto or cpu"):
        device.choose_device("cuda")
    assert device.choose_device("auto") == CPU


def test_a_system_without_cpuinfo_still_names_its_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_read_cpu_field", lambda field: "")
    assert device.describe_device(CPU).startswith("cpu (")
    assert device.choose_precision("auto", CPU) == torch.float32
