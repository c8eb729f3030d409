"""The discriminator's logits since the last histogram, kept on the device."""

import torch
from torch import Tensor


class LogitHistory:
    """All logits of real and of fake images that were added since the last `clear`.

    It is part of a checkpoint, so that the histograms of a run that was stopped are those of one that was not.
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {}

    def add(self, real_logits: Tensor | None, fake_logits: Tensor | None) -> None:
        """Keep copies of one iteration's logits (N,), without waiting for the device."""
        for name, logits in (("real", real_logits), ("fake", fake_logits)):
            if logits is not None:
                self._parts.setdefault(name, []).append(logits.detach().to(torch.float32, copy=True))

    def parts(self) -> dict[str, list[Tensor]]:
        """Return what was kept, an iteration at a time, under `real` and `fake`."""
        return {name: list(parts) for name, parts in self._parts.items()}

    def clear(self) -> None:
        """Forget all."""
        self._parts = {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must hold; none when nothing is kept."""
        return {name: torch.cat(parts) for name, parts in self._parts.items()}

    def load_state_dict(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Take back what `state_dict` gave."""
        self._parts = {name: [tensor.to(device)] for name, tensor in tensors.items()}
