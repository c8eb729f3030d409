"""Tensors that a loop hands over: numbers that are still on a device, fixed latents, and state dicts."""

import io
import json
import struct
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganvas.tracking.values import is_array, is_tensor, show


class DeviceScalars:
    """Numbers on a device, copied without waiting for it; `encode` waits, on another thread."""

    def __init__(self, scalars: Mapping[str, Any]) -> None:
        self._names = list(scalars)
        torch = sys.modules["torch"]
        # Copies: the loop may change them in place.
        values = [scalar.detach().reshape(()) for scalar in scalars.values()]
        self._is_cuda = all(value.device.type == "cuda" for value in values)
        self._ready: Any = None
        if not self._is_cuda or len({value.device for value in values}) > 1:
            self._copies = [value.clone() for value in values]
            return
        stacked = values[0].clone() if len(values) == 1 else torch.stack([value.float() for value in values])
        self._copies = [stacked.to("cpu", non_blocking=True)]
        self._ready = torch.cuda.Event()
        self._ready.record(torch.cuda.current_stream(values[0].device))

    def encode(self) -> list[str]:
        """Return `"name":number` for each; waits for the device."""
        if self._ready is not None:
            self._ready.synchronize()
        numbers = [float(value) for copy in self._copies for value in copy.flatten().tolist()]
        return [name + show(number) for name, number in zip(self._names, numbers, strict=True)]


@dataclass(frozen=True)
class FixedLatents:
    """The latents that grids are made from, by their cells; sha256: of their file, None without any."""

    sha256: str | None = None
    count: int = 0

    def find_for(self, least: int, most: int) -> str | None:
        """Return the sha256 where there are as many latents as a grid has cells, from `least` to `most`."""
        return self.sha256 if least <= self.count <= most else None


def encode_latents(latents: Any, labels: Any = None) -> tuple[bytes, int, int]:
    """Return latents (N, L) and labels (N,) as a safetensors file, and N and L; raises TypeError or ValueError.

    Further dimensions, as of N×L×1×1, count as L. The same numbers give the same bytes.
    """
    rows = _read_rows(latents, "latents")
    parts: dict[str, tuple[str, list[int], array[Any]]] = {}
    parts["latents"] = ("F32", [len(rows), len(rows[0])], array("f", [each for row in rows for each in row]))
    if labels is not None:
        numbers = _read_labels(labels)
        if len(numbers) != len(rows):
            raise ValueError(f"there are {len(numbers)} labels for {len(rows)} latents.")
        parts["labels"] = ("I64", [len(numbers)], array("q", numbers))
    header, offset = {}, 0
    for name, (kind, shape, content) in parts.items():
        size = len(content) * content.itemsize
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(content.tobytes() for _, _, content in parts.values())
    return struct.pack("<Q", len(text)) + text + body, len(rows), len(rows[0])


def _read_labels(labels: Any) -> list[int]:
    try:
        return [int(label) for label in (labels.tolist() if hasattr(labels, "tolist") else labels)]
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"labels must be a tensor, an array or a list of integers; not {labels!r:.60}.") from None


def _read_rows(values: Any, what: str) -> list[list[float]]:
    if is_tensor(values):
        values = values.detach().float().cpu().flatten(1).tolist() if values.dim() > 1 else None
    elif is_array(values):
        values = values.reshape(len(values), -1).tolist() if values.ndim > 1 else None
    try:
        rows = [[float(value) for value in row] for row in values]
    except (TypeError, ValueError, OverflowError):
        rows = []
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        raise TypeError(f"{what} must be a tensor, an array or lists of N × L numbers, as a generator takes them.")
    return rows


def is_state(value: Any) -> bool:
    """Say whether this is a state dict, or a dictionary of such."""
    return isinstance(value, Mapping) and len(value) > 0


def encode_state(state: Any) -> memoryview:
    """Return a state dict as `torch.save` writes it; raises TypeError where there is no PyTorch."""
    torch = sys.modules.get("torch")
    if torch is None:
        raise TypeError(
            "a state dict is written by PyTorch, which is not loaded; hand over a file's path instead."
        )
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getbuffer()
