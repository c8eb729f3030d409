"""Inception's features, by torch-fidelity: those of the published FID and KID, where its weights are at hand."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlib.datasets.sources import data_roots
from ganlib.errors import ExtractorUnavailable
from ganlib.evaluation.extractors.extractor import Extracted, FeatureExtractor
from ganlib.runtime.files import hash_file
from ganlib.spec.sections.datasets import DatasetSpec

WEIGHTS_FILE = "weights-inception-2015-12-05-6726825d.pth"
# The first digits of the file's sha256, as its name says.
_DIGEST = "6726825d"
_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS_FILE}"
_LAYER = "2048"
_CHUNK = 32


class Inception(FeatureExtractor):
    """The 2,048 pooled features of Inception-v3 as FID has them (Heusel et al., 2017), by torch-fidelity.

    Grey images are shown as three equal channels; torch-fidelity resizes them to 299 × 299.
    """

    warning = ""

    def __init__(self, dataset: DatasetSpec, device: torch.device) -> None:
        """Load the network; raises ExtractorUnavailable without the library or without its weights."""
        self.dataset = dataset
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise ExtractorUnavailable(
                "The extractor inception needs torch-fidelity, which is not installed here: pip install "
                "'ganvas[inception]', or choose another evaluation.extractor."
            ) from error
        path = find_weights()
        network: Any = FeatureExtractorInceptionV3(
            "inception-v3-compat", [_LAYER], feature_extractor_weights_path=_read_safely(path)
        )
        self._network = network.to(device)
        self.name = f"Inception-v3 of torch-fidelity ({hash_file(path)[:12]})"
        self.facts = f"{_LAYER[0]},{_LAYER[1:]} features"

    @torch.no_grad()
    def extract(self, images: Tensor) -> Extracted:
        """Return features (N, 2048)."""
        coloured = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        return Extracted(torch.cat([self._network(chunk)[0].float() for chunk in torch.split(coloured, _CHUNK)]))


def find_weights() -> Path:
    """Return the file of Inception's weights, downloaded if it is nowhere; raises ExtractorUnavailable."""
    downloaded = Path(torch.hub.get_dir()) / "checkpoints"
    places = [*data_roots(), downloaded]
    for folder in places:
        if (folder / WEIGHTS_FILE).is_file():
            return folder / WEIGHTS_FILE
    try:
        downloaded.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(_URL, str(downloaded / WEIGHTS_FILE), hash_prefix=_DIGEST, progress=False)
    except (OSError, RuntimeError) as error:
        raise ExtractorUnavailable(
            f"Inception's weights are not in {' or '.join(map(str, places))} and cannot be downloaded ({error}): "
            f"put {WEIGHTS_FILE} of torch-fidelity there, or choose another evaluation.extractor."
        ) from error
    return downloaded / WEIGHTS_FILE


def _read_safely(path: Path) -> io.BytesIO:
    """Return the weights, without anything else that a pickle may hold: torch-fidelity would load that too."""
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes torch raise
        raise ExtractorUnavailable(
            f"{path} cannot be read as Inception's weights; get it anew: {error}"
        ) from error
    checked = io.BytesIO()
    torch.save(weights, checked)
    checked.seek(0)
    return checked
