"""Kernel distance, density, coverage, diversity and modes: by hand, against other code, and on faults."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from ganlib.datasets import load_train_and_test
from ganlib.datasets.gaussians import find_centres, load_gaussians
from ganlib.evaluation.classifier.training import shift_images
from ganlib.evaluation.extractors.extractor import Pixels, RandomNetwork
from ganlib.evaluation.metrics.classes import class_coverage, class_diversity, class_entropy, classifier_score
from ganlib.evaluation.metrics.features import (
    coverage,
    density,
    frechet_distance,
    kernel_distance,
    precision,
    recall,
)
from ganlib.evaluation.metrics.modes import Mixture, count_modes, high_quality_share
from ganlib.spec.sections.datasets import DigitsSpec, GaussiansSpec

CPU = torch.device("cpu")


def draw_two() -> tuple[Tensor, Tensor, np.random.RandomState]:
    """Return features (500, 16) called real, others called fake, and the stream that they came from."""
    stream = np.random.RandomState(0)
    real, fake = stream.randn(500, 16), 1.2 * stream.randn(500, 16) + 0.3
    return torch.from_numpy(real), torch.from_numpy(fake), stream


def test_the_metrics_are_those_of_prdc_and_torch_fidelity() -> None:
    """The numbers are those of prdc 0.2 and torch-fidelity 0.4.0, which the tests do without:

    pip install --no-deps --target DIR prdc torch-fidelity tqdm; then with DIR in sys.path, of the same arrays:
    prdc.compute_prdc(real, fake, nearest_k=5) and (…, nearest_k=3),
    torch_fidelity.metric_kid.mmd2(K(fake, fake), K(fake, real), K(real, real)) with K = kernel_poly of degree 3,
    torch_fidelity.metric_fid.fid_statistics_to_metric of fid_features_to_statistics(fake) and (real), and
    torch_fidelity.metric_isc.isc_features_to_metric(logits, splits=1, shuffle=False).
    """
    real, fake, stream = draw_two()
    assert density(real, fake).item() == pytest.approx(0.37040000000000006, rel=1e-3)
    assert coverage(real, fake).item() == pytest.approx(0.7, rel=1e-3)
    assert precision(real, fake, 5).item() == pytest.approx(0.574, rel=1e-3)
    assert recall(real, fake, 5).item() == pytest.approx(0.962, rel=1e-3)
    assert density(real, fake, 3).item() == pytest.approx(0.35533333333333333, rel=1e-3)
    assert coverage(real, fake, 3).item() == pytest.approx(0.528, rel=1e-3)
    assert precision(real, fake).item() == pytest.approx(0.444, rel=1e-3)
    assert recall(real, fake).item() == pytest.approx(0.922, rel=1e-3)
    assert kernel_distance(fake, real).item() == pytest.approx(0.40031061547475444, rel=1e-3)
    assert frechet_distance(fake, real).item() == pytest.approx(2.5483909545977355, rel=1e-3)
    probabilities = torch.from_numpy(stream.randn(300, 10)).softmax(1)
    assert classifier_score(probabilities).item() == pytest.approx(1.4469603722122621, rel=1e-3)


def test_the_kernel_distance_by_hand() -> None:
    # One feature: k(x, y) = (x·y + 1)³. Pairs within 0, 1: k = 1; within 1, 2: 27; between: 1, 1, 8, 27.
    first, second = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    assert kernel_distance(first, second).item() == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)
    # The biased estimate would have the diagonals too, 1 and 8, and 8 and 125.
    biased = (1 + 8 + 2 * 1) / 4 + (8 + 125 + 2 * 27) / 4 - 2 * (1 + 1 + 8 + 27) / 4
    assert kernel_distance(first, second).item() != pytest.approx(biased, rel=0.1)


def test_the_kernel_distance_of_unequal_counts_in_blocks_is_that_of_scikit_learns_kernel() -> None:
    stream = np.random.RandomState(1)
    first, second = stream.randn(1500, 5), stream.randn(1100, 5) + 0.1
    within = []
    for part in (first, second):
        kernel = polynomial_kernel(part, degree=3, coef0=1)
        within.append((kernel.sum() - np.trace(kernel)) / (len(part) * (len(part) - 1)))
    expected = sum(within) - 2 * polynomial_kernel(first, second, degree=3, coef0=1).mean()
    found = kernel_distance(torch.from_numpy(first), torch.from_numpy(second)).item()
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_kernel_distance_is_0_on_the_average_where_both_are_alike() -> None:
    stream = torch.Generator().manual_seed(0)
    drawn = [kernel_distance(*torch.randn(2, 40, 4, generator=stream)).item() for _ in range(200)]
    assert min(drawn) < 0 < max(drawn)
    assert abs(np.mean(drawn)) < 3 * np.std(drawn) / math.sqrt(len(drawn))


def test_density_and_coverage_by_hand() -> None:
    real = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    # Balls of radius 1 without their edge. 0.5 lies in two of them, 10.2 in two, 5 and 12 (on the edge) in none.
    fake = torch.tensor([[0.5], [10.2], [5.0], [12.0]])
    assert density(real, fake, neighbour=1).item() == pytest.approx(4 / 4)
    assert coverage(real, fake, neighbour=1).item() == 1
    assert coverage(real, fake[:1], neighbour=1).item() == pytest.approx(2 / 4)
    # An outlier among real images has a large ball: precision counts what lies in it, density hardly.
    outlier = torch.cat([real, torch.tensor([[100.0]])])
    assert precision(outlier, torch.full((4, 1), 50.0), neighbour=1).item() == 1
    assert density(outlier, torch.full((4, 1), 50.0), neighbour=3).item() == pytest.approx(1 / 3)


def test_density_and_coverage_in_blocks_are_those_of_scikit_learns_neighbours() -> None:
    stream = np.random.RandomState(2)
    real, fake = stream.randn(1500, 3), 1.5 * stream.randn(1100, 3)
    radii = NearestNeighbors(n_neighbors=6).fit(real).kneighbors(real)[0][:, 5]
    inside = np.linalg.norm(fake[:, None] - real[None], axis=2) < radii
    real, fake = torch.from_numpy(real), torch.from_numpy(fake)
    assert density(real, fake).item() == pytest.approx(inside.sum() / (5 * 1100))
    assert coverage(real, fake).item() == pytest.approx(inside.any(0).mean())


def test_diversity_within_classes_is_that_of_scipys_distances() -> None:
    stream = np.random.RandomState(3)
    real, fake = stream.randn(60, 4), 0.5 * stream.randn(50, 4)
    # Class 3 has one fake, and class 4 one real image: neither has a distance.
    real_labels, labels = np.r_[np.arange(59) % 4, 4], np.r_[np.arange(48) % 3, 3, 4]
    ratios = [pdist(fake[labels == k]).mean() / pdist(real[real_labels == k]).mean() for k in range(3)]
    given = [torch.from_numpy(each) for each in (labels, fake, real_labels, real)]
    probabilities, real_probabilities = torch.eye(5)[given[0]], torch.eye(5)[given[2]]
    found = class_diversity(probabilities, given[1], real_probabilities, given[3]).item()
    assert found == pytest.approx(np.mean(ratios), rel=1e-9)
    assert 0.4 < found < 0.6
    one_each = class_diversity(torch.eye(5), given[1][:5], real_probabilities, given[3])
    assert one_each.item() == 0


@pytest.mark.parametrize("make", [RandomNetwork, lambda dataset, _: Pixels(dataset)], ids=["random", "pixels"])
def test_each_metric_answers_as_it_must_on_known_faults(make: object) -> None:
    """A generator that copies the real images, one that moves them by a pixel, and one of five classes alone."""
    extractor = make(DigitsSpec(), CPU)  # type: ignore[operator]
    # Enlarged, so that a pixel is a small move, as in a picture that is looked at.
    train, test = (
        part.pick(torch.arange(len(part.labels)) < 280) for part in load_train_and_test(DigitsSpec(size=16))
    )
    moved = shift_images(test.images, torch.ones(2, len(test.images), dtype=torch.int64))
    halves = train.images[train.labels < 5].repeat(3, 1, 1, 1)[:280]
    real, own, copied, shifted, half = (
        extractor.extract(images).features for images in (test.images, test.images, train.images, moved, halves)
    )
    # Scaled alike, so that one bound fits both extractors.
    spread = real.std()
    real, own, copied, shifted, half = (each / spread for each in (real, own, copied, shifted, half))
    assert frechet_distance(own, real).item() == pytest.approx(0, abs=1e-3)
    assert kernel_distance(own, real).item() < 0
    assert [metric(real, own).item() for metric in (precision, recall, coverage)] == [1, 1, 1]
    assert density(real, own).item() == pytest.approx(1)
    # Other images of the same kind are nearer than moved ones, and these than half of the classes.
    distances = [frechet_distance(each, real).item() for each in (copied, shifted, half)]
    assert distances[0] < min(distances[1:])
    assert kernel_distance(copied, real).item() < kernel_distance(half, real).item()
    assert coverage(real, copied).item() > 0.75 > 0.6 > coverage(real, half).item()
    assert recall(real, half).item() < recall(real, copied).item() - 0.2
    # What is drawn of the five classes is as good as real: precision and density do not see what is missing.
    assert precision(real, half).item() > 0.6
    assert density(real, half).item() > 0.6


def test_five_classes_of_ten_show_in_coverage_and_entropy_of_classes() -> None:
    halves = torch.eye(10)[torch.arange(500) % 5]
    assert class_coverage(halves, 0.01).item() == 0.5
    assert class_entropy(halves).item() == pytest.approx(math.log(5))
    assert classifier_score(halves).item() == pytest.approx(5)


def test_modes_and_high_quality_by_hand() -> None:
    mixture = Mixture(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 0.3)
    points = torch.tensor([[0.1, 0.1], [0.0, -0.2], [1.0, 0.29], [0.5, 0.5], [0.0, 0.69], [torch.nan, torch.nan]])
    # Four points lie near a mode, or a little too far; one is between two, and one is no point.
    assert high_quality_share(points, mixture).item() == pytest.approx(3 / 6)
    assert count_modes(points, mixture).item() == 2
    assert count_modes(points[3:], mixture).item() == 0


@pytest.mark.parametrize(("layout", "modes"), [("ring", 8), ("grid", 25)])
def test_points_of_the_mixture_are_as_good_as_its_density_says(layout: str, modes: int) -> None:
    spec = GaussiansSpec(layout=layout, modes=modes, std=0.02, size=32)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(20_000) % modes
    points = find_centres(modes, spec.layout)[labels] + 0.02 * torch.randn(20_000, 2, generator=generator)
    mixture = Mixture(find_centres(modes, spec.layout), 3 * 0.02)
    # Of a normal distribution in two dimensions exp(-9/2) lies further away than three deviations.
    expected = 1 - math.exp(-4.5)
    assert high_quality_share(points, mixture).item() == pytest.approx(expected, abs=0.003)
    assert count_modes(points, mixture).item() == modes
    assert count_modes(points[labels < 3], mixture).item() == 3
    assert load_gaussians(spec, "test").images.shape == (2000, 1, 32, 32)
