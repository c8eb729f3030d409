"""Feature extractors: what they see, what they are called, and that real images are looked at once."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from ganlib.datasets import load_images, load_train_and_test
from ganlib.datasets.gaussians import draw_blobs, find_centres
from ganlib.errors import ExtractorUnavailable
from ganlib.evaluation.classifier import recipes
from ganlib.evaluation.extractors import inception, real_statistics
from ganlib.evaluation.extractors.build import obtain_extractor
from ganlib.evaluation.extractors.extractor import Extracted, Pixels, RandomNetwork
from ganlib.evaluation.extractors.points import BlobPoints, locate_blobs
from ganlib.evaluation.extractors.real_statistics import obtain_real_statistics
from ganlib.evaluation.metrics.modes import count_modes, high_quality_share
from ganlib.spec.sections.datasets import DigitsSpec, FolderSpec, GaussiansSpec, MnistSpec

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and data folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path / "data"))
    return tmp_path / "cache/ganvas/data"


def obtain(chosen: Any, dataset: Any, lines: list[str] | None = None) -> Any:
    say = [].append if lines is None else lines.append
    return obtain_extractor(chosen, dataset, CPU, say, lambda: False)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_a_blob_is_found_where_it_was_drawn(size: int) -> None:
    points = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.7
    places, is_blob = locate_blobs(draw_blobs(points, size))
    assert is_blob.all()
    # In pixels, two of which are as long as 4 / size.
    assert ((places - points).abs() * size / 2).max().item() < 0.2
    # The wrong way round, rows for columns, would be far off.
    assert ((places.flip(1) - points).abs() * size / 2).mean().item() > 1


def test_a_grey_background_moves_no_blob() -> None:
    points = torch.tensor([[0.6, 0.0], [-0.4, 0.5]])
    clean = draw_blobs(points, 16)
    places, is_blob = locate_blobs(clean.clamp_min(12))
    assert is_blob.all()
    assert torch.allclose(places, locate_blobs(clean)[0], atol=0.01)


def test_noise_an_empty_picture_and_two_blobs_are_no_points() -> None:
    """Their centres lie in the middle, where a grid has a mode."""
    spec = GaussiansSpec(layout="grid", modes=9)
    noise = torch.randint(0, 256, (50, 1, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    two = draw_blobs(torch.tensor([[0.6, 0.0]]), 16) + draw_blobs(torch.tensor([[-0.6, 0.0]]), 16)
    pictures = torch.cat([noise, torch.zeros(1, 1, 16, 16, dtype=torch.uint8), two])
    extractor = BlobPoints(spec, CPU)
    extracted = extractor.extract(pictures)
    assert extracted.points is not None
    assert extracted.points.isnan().all()
    assert extracted.features.isfinite().all()
    assert (
        count_modes(extracted.points, extractor.mixture),
        high_quality_share(extracted.points, extractor.mixture),
    ) == (0, 0)
    # Control: by its centre alone, the picture of two blobs would be a good point of the mode in the middle.
    assert high_quality_share(extracted.features[-1:], extractor.mixture).item() == 1


@pytest.mark.parametrize("spec", [GaussiansSpec(), GaussiansSpec(layout="grid", modes=25, std=0.02, size=32)])
def test_real_pictures_cover_all_modes_and_a_collapse_one(spec: GaussiansSpec) -> None:
    extractor = obtain("points", spec)
    _, test = load_train_and_test(spec)
    extracted = extractor.extract(test.images)
    assert count_modes(extracted.points, extractor.mixture).item() == spec.modes
    assert high_quality_share(extracted.points, extractor.mixture).item() == pytest.approx(0.989, abs=0.008)
    assert (extracted.probabilities.argmax(1) == test.labels).double().mean().item() > 0.98
    collapsed = extractor.extract(test.images[test.labels == 3])
    assert count_modes(collapsed.points, extractor.mixture).item() == 1
    # Between two modes, which a generator draws that passes from one to the other.
    between = draw_blobs(find_centres(spec.modes, spec.layout)[:2].mean(0, keepdim=True), spec.size)
    assert high_quality_share(extractor.extract(between).points, extractor.mixture).item() == 0


def test_random_features_are_the_same_everywhere_and_leave_torchs_random_state_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, second = RandomNetwork(DigitsSpec(), CPU), RandomNetwork(MnistSpec(), CPU)
    assert torch.equal(torch.get_rng_state(), state)
    images = load_images(DigitsSpec(), CPU)[:3]
    assert first.name == second.name == "random network, version 1 (f98ba3f1521b)"
    assert torch.equal(first.extract(images).features, second.extract(images).features)
    assert first.extract(images).features.shape == (3, 64)
    coloured = RandomNetwork(FolderSpec(path="faces", size=64), CPU)
    assert coloured.name != first.name
    assert coloured.extract(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).features.shape == (2, 64)


def test_pixels_are_means_of_squares() -> None:
    image = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    image[0, 0, 0, 0] = 255
    features = Pixels(MnistSpec(size=16)).extract(image).features
    assert features.tolist() == [[0.25] + [0.0] * 63]


class Counting(Pixels):
    """Pixels that count how many images they were shown."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset)
        self.seen = 0

    def extract(self, images: Tensor) -> Extracted:
        self.seen += len(images)
        return super().extract(images)


def test_real_images_are_looked_at_once_and_again_where_anything_differs(cache: Path) -> None:
    def look(dataset: Any = None, count: int = 50) -> tuple[int, Any]:
        extractor = Counting(dataset or DigitsSpec())
        return extractor, obtain_real_statistics(extractor, count, CPU)

    (first, statistics), (second, again) = look(), look()
    assert (first.seen, second.seen) == (50, 0)
    assert again.digest == statistics.digest
    assert torch.equal(again.features, statistics.features)
    assert look(count=51)[0].seen == 51
    assert look(DigitsSpec(size=16))[0].seen == 50
    assert look(count=10_000)[0].seen == 300
    for path in (cache / "real-statistics").iterdir():
        data = path.read_bytes()
        path.write_bytes(data[:-7] + bytes([data[-7] ^ 1]) + data[-6:])
    damaged, computed = look()
    assert damaged.seen == 50
    assert computed.digest == statistics.digest


def test_without_a_digest_damaged_statistics_would_be_taken(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control."""
    digest = obtain_real_statistics(Counting(DigitsSpec()), 50, CPU)
    assert digest is not None
    (path,) = (cache / "real-statistics").iterdir()
    data = path.read_bytes()
    path.write_bytes(data[:-7] + bytes([data[-7] ^ 1]) + data[-6:])
    monkeypatch.setattr(real_statistics, "digest_tensors", lambda tensors: digest.digest)
    extractor = Counting(DigitsSpec())
    obtain_real_statistics(extractor, 50, CPU)
    assert extractor.seen == 0


def write_folder(
    root: Path, draw: Callable[[int, int], tuple[int, int, int]], classes: int = 2, each: int = 60
) -> None:
    for label in range(classes):
        (root / f"class{label}").mkdir(parents=True)
        for index in range(each):
            Image.new("RGB", (12, 12), draw(label, index)).save(root / f"class{label}/{index:03d}.png")


@pytest.fixture
def short_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "_STEPS", 60)


@pytest.mark.usefixtures("short_recipes")
def test_a_folder_with_classes_has_a_classifier_that_is_trained_once(tmp_path: Path) -> None:
    write_folder(tmp_path / "data/colours", lambda label, index: (200 * label + index % 40, index % 60, 90))
    lines: list[str] = []
    spec = FolderSpec(path="colours", size=12, classes=2)
    first = obtain("classifier", spec, lines)
    assert first.name.startswith("folder-rgb-12 classifier, version 1 (")
    assert first.facts.startswith("100.00% of 20 held-out images right")
    assert first.warning == ""
    assert "Training the folder-rgb-12 classifier on 100 images, once: epoch 1 of" in lines[0]
    lines.clear()
    assert obtain("classifier", spec, lines).name == first.name
    assert lines == []


@pytest.mark.usefixtures("short_recipes")
def test_a_classifier_that_learnt_nothing_says_so(tmp_path: Path) -> None:
    grey = torch.randint(0, 256, (200,), generator=torch.Generator().manual_seed(0)).tolist()
    write_folder(tmp_path / "data/noise", lambda label, index: (grey[60 * label + index],) * 3)
    extractor = obtain("classifier", FolderSpec(path="noise", size=8, classes=2))
    assert extractor.warning.startswith("The folder-rgb-8 classifier is a bad one: it tells the class of ")
    assert "where naming the commonest one always would get 50%" in extractor.warning


class StandIn(torch.nn.Module):
    """The interface of torch-fidelity's network: uint8 (N, 3, H, W) → a tuple of features, one a name."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: Any = None) -> None:
        super().__init__()
        assert features_list == ["2048"]
        self.scale = torch.load(feature_extractor_weights_path, weights_only=False)["scale"]

    def forward(self, images: Tensor) -> tuple[Tensor]:
        assert images.dtype == torch.uint8
        assert images.shape[1] == 3
        return (images.float().mean((2, 3)).repeat(1, 683)[:, :2048] * self.scale,)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    package, module = ModuleType("torch_fidelity"), ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/nowhere")


@pytest.mark.usefixtures("stand_in")
def test_inception_sees_grey_images_as_colour_and_names_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "data" / inception.WEIGHTS_FILE
    path.parent.mkdir()
    torch.save({"scale": torch.tensor(2.0)}, path)
    extractor = obtain("inception", DigitsSpec())
    features = extractor.extract(torch.full((40, 1, 8, 8), 3, dtype=torch.uint8)).features
    assert features.shape == (40, 2048)
    assert features.unique().tolist() == [6]
    assert (
        extractor.name == f"Inception-v3 of torch-fidelity ({hashlib.sha256(path.read_bytes()).hexdigest()[:12]})"
    )


class Harmful:
    """Would be built, and run, by whoever unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("was unpickled",))


@pytest.mark.usefixtures("stand_in")
def test_inceptions_weights_are_weights_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "data" / inception.WEIGHTS_FILE
    path.parent.mkdir()
    torch.save({"scale": Harmful()}, path)
    with pytest.raises(ExtractorUnavailable, match="cannot be read as Inception's weights"):
        obtain("inception", DigitsSpec())


@pytest.mark.usefixtures("stand_in")
def test_missing_weights_say_where_they_belong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(ExtractorUnavailable, match=r"cannot be downloaded \(no network\): put weights-inception"):
        obtain("inception", DigitsSpec())


def test_without_torch_fidelity_inception_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ExtractorUnavailable, match=r"pip install 'ganvas\[inception\]'"):
        obtain("inception", DigitsSpec())
