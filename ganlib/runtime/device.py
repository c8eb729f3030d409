"""Where and in which precision a run computes."""

import platform
from contextlib import AbstractContextManager
from pathlib import Path

import torch

from ganlib.errors import DeviceUnavailable


def choose_device(wanted: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; raises DeviceUnavailable."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable(
            "The spec asks for device: cuda, but torch finds no CUDA device here; "
            "set device to auto or cpu, or install a torch build that fits the graphics driver."
        )
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """Return torch.bfloat16 or torch.float32; `auto` takes bfloat16 where the hardware computes in it."""
    if wanted == "auto":
        return torch.bfloat16 if _computes_in_bfloat16(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Compute matrix products and convolutions in bfloat16 if that is the precision; weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def describe_device(device: torch.device, processes: int = 1) -> str:
    """Name the device for people, and what the last bits of sums depend on: a CPU's threads, processes."""
    if device.type == "cuda":
        facts = [torch.cuda.get_device_name(device)]
    else:
        facts = [_cpu_name(), f"{torch.get_num_threads()} threads"]
    if processes > 1:
        facts.append(f"{processes} processes")
    return f"{device.type} ({', '.join(facts)})"


def _computes_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without these instructions bfloat16 is emulated, and slower than float32.
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16"})


def _cpu_flags() -> set[str]:
    return set(_cpu_field("flags").split())


def _cpu_name() -> str:
    return _cpu_field("model name") or platform.processor() or platform.machine()


def _cpu_field(field: str) -> str:
    """Return a field of /proc/cpuinfo, or nothing on systems that have no such file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
