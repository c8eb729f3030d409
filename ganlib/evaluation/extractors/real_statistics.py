"""What an extractor says of held-out images, kept by its name and the images' content: it is computed once."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganlib.datasets import LabelledImages, load_train_and_test
from ganlib.datasets.sources import cache_dir
from ganlib.evaluation.extractors.extractor import FeatureExtractor
from ganlib.runtime.files import store_file
from ganlib.training.checkpoint import digest_tensors

FORMAT = 1
# Fewer say nothing of a distribution, and a neighbourhood needs some neighbours.
LEAST = 16
_FOLDER = "real-statistics"
_METADATA = "ganvas_real_statistics"


@dataclass(frozen=True)
class RealStatistics:
    """Features (M, F), and probabilities (M, K) where classes are told, of M held-out images, on the CPU.

    digest: sha256 of them.
    """

    features: Tensor
    probabilities: Tensor | None
    digest: str


def obtain_real_statistics(extractor: FeatureExtractor, count: int, device: torch.device) -> RealStatistics | None:
    """Return those of `count` held-out images, evenly picked, or of all; None where there are too few.

    Raises DatasetUnavailable.
    """
    _, held_out = load_train_and_test(extractor.dataset)
    count = min(count, len(held_out.images))
    if count < LEAST:
        return None
    path = cache_dir() / _FOLDER / f"{_digest_source(extractor, held_out, count)}.safetensors"
    kept = _load(path)
    return kept if kept is not None else _compute(extractor, held_out, count, device, path)


def _digest_source(extractor: FeatureExtractor, held_out: LabelledImages, count: int) -> str:
    """Return what the statistics follow from: extractor, images, their size and colour, and how many."""
    # Gaussians have no fingerprint: they follow from their spec.
    images = held_out.fingerprint.pixels if held_out.fingerprint else extractor.dataset.model_dump_json()
    source = (FORMAT, extractor.name, images, tuple(held_out.images.shape), count)
    return hashlib.sha256(repr(source).encode()).hexdigest()[:32]


def _compute(
    extractor: FeatureExtractor, held_out: LabelledImages, count: int, device: torch.device, path: Path
) -> RealStatistics:
    picked = torch.linspace(0, len(held_out.images) - 1, count).round().long()
    extracted = extractor.extract(held_out.images[picked].to(device))
    tensors = {"features": extracted.features.cpu().contiguous()}
    if extracted.probabilities is not None:
        tensors["probabilities"] = extracted.probabilities.cpu().contiguous()
    digest = digest_tensors(tensors)
    about = {_METADATA: json.dumps({"format": FORMAT, "digest": digest})}
    # A cache that cannot be written costs time at the next start, nothing else.
    with suppress(OSError, SafetensorError):
        store_file(path.parent, path.name, partial(save_file, tensors, metadata=about))
    return RealStatistics(tensors["features"], tensors.get("probabilities"), digest)


def _load(path: Path) -> RealStatistics | None:
    """Read kept statistics; None where there are none, or damaged ones."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            about = json.loads((file.metadata() or {})[_METADATA])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if about["format"] != FORMAT or about["digest"] != digest_tensors(tensors):
            return None
        return RealStatistics(tensors["features"], tensors.get("probabilities"), about["digest"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
