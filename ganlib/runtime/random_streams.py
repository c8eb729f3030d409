"""A run's random numbers: one seed, split into streams that do not disturb each other.

Each purpose (initial weights, fixed latents, latents of the steps, data order, random layers) has its own
stream, so that changing the discriminator, say, leaves the generator's first weights and the fixed latents as
they were.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Return the seed, below 2**63, of the stream that serves this purpose."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def make_generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    """Return a generator on the device that starts at the purpose's stream."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *purpose))


def seed_layers(device: torch.device, seed: int, *purpose: str | int) -> None:
    """Seed torch's global generators, the only ones that initialisers, dropout and noise layers can use."""
    torch.default_generator.manual_seed(derive_seed(seed, *purpose))
    if device.type == "cuda":
        torch.cuda.manual_seed(derive_seed(seed, *purpose))


@contextmanager
def reproducible_torch(device: torch.device) -> Iterator[None]:
    """Lend torch's global state to a run: random state and cuDNN's choices are as before afterwards.

    Inside, cuDNN may only take algorithms that give the same bytes each time.
    """
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    deterministic = torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=True
    )
    with torch.random.fork_rng(devices=devices), deterministic:
        yield


def draw_labels(class_count: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw labels int64 (count,), each class as likely as another."""
    return torch.randint(class_count, (count,), generator=generator, device=generator.device)


class DataOrder:
    """The images of each batch: a pure function of the seed, the purpose and the batch's number.

    Epochs follow each other without a gap: a batch that begins in one epoch is filled up from the next, so
    every image is seen once an epoch whatever the batch size.
    """

    def __init__(
        self, seed: int, image_count: int, batch_size: int, device: torch.device, purpose: str = "data order"
    ) -> None:
        self._seed = seed
        self._purpose = purpose
        self._image_count = image_count
        self._batch_size = batch_size
        self._device = device
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64)

    def indices(self, batch: int) -> Tensor:
        """Return the indices (batch_size,) of a batch's images; the first batch is 1."""
        position = (batch - 1) * self._batch_size
        end = position + self._batch_size
        parts: list[Tensor] = []
        while position < end:
            epoch, offset = divmod(position, self._image_count)
            parts.append(self._order_of(epoch)[offset : offset + end - position])
            position += len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _order_of(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            # Drawn on the CPU, so that the order is the same on every device.
            generator = make_generator(torch.device("cpu"), self._seed, self._purpose, epoch)
            self._permutation = torch.randperm(self._image_count, generator=generator).to(self._device)
            self._epoch = epoch
        return self._permutation
