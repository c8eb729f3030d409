"""The device and the precision that a run computes in."""

from contextlib import AbstractContextManager

import torch

from ganlib.errors import DeviceUnavailable
from ganlib.runtime.cpu import read_cpu_flags, read_cpu_name


def choose_device(requested: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; raises DeviceUnavailable."""
    if requested == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable(
            "The spec asks for device: cuda, but torch finds no CUDA device here; "
            "set device to auto or cpu, or install a torch build that fits the graphics driver."
        )
    return torch.device("cuda" if requested != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(requested: str, device: torch.device) -> torch.dtype:
    """Return torch.bfloat16 or torch.float32; `auto` takes bfloat16 where the hardware computes in it."""
    if requested == "auto":
        return torch.bfloat16 if _computes_in_bfloat16(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[requested]


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Compute matrix products and convolutions in bfloat16 if that is the precision; weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def describe_device(device: torch.device, processes: int = 1) -> str:
    """Name the device for people, and what the last bits of sums depend on: a CPU's threads, processes."""
    if device.type == "cuda":
        facts = [torch.cuda.get_device_name(device)]
    else:
        threads = torch.get_num_threads()
        facts = [read_cpu_name(), f"{threads} thread{'' if threads == 1 else 's'}"]
    if processes > 1:
        facts.append(f"{processes} processes")
    return f"{device.type} ({', '.join(facts)})"


def _computes_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without these instructions bfloat16 is emulated, and slower than float32.
    return bool(read_cpu_flags() & {"avx512_bf16", "amx_bf16"})
