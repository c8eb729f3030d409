"""Metrics, against numbers worked out by hand and against other implementations."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn import functional

from ganlib.evaluation.metrics import neighbours
from ganlib.evaluation.metrics.classes import (
    certainty,
    class_coverage,
    class_entropy,
    class_shares,
    classifier_score,
)
from ganlib.evaluation.metrics.features import frechet_distance, matrix_square_root, precision, recall
from ganlib.evaluation.metrics.neighbours import NeighbourSearch, nearest_neighbours


def certain_of(*classes: int, count: int = 4) -> Tensor:
    """Return rows that are sure of one class each."""
    return torch.eye(count)[torch.tensor(classes)]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_certain_answers_that_differ_score_as_many_as_there_are_classes() -> None:
    assert classifier_score(certain_of(0, 1, 2, 3)).item() == pytest.approx(4)
    assert classifier_score(certain_of(0, 1, 0, 1)).item() == pytest.approx(2)


def test_equal_answers_score_one_however_certain_they_are() -> None:
    assert classifier_score(certain_of(2, 2, 2)).item() == pytest.approx(1)
    assert classifier_score(torch.full((5, 4), 0.25)).item() == pytest.approx(1)
    assert classifier_score(torch.tensor([[0.7, 0.2, 0.1]])).item() == pytest.approx(1)


def test_the_score_of_two_half_certain_answers_by_hand() -> None:
    # p(y) is (½, ½) and each row (¾, ¼) or (¼, ¾): KL = ¾ log 1.5 + ¼ log 0.5, and exp of that is 1.5^¾ · 0.5^¼.
    score = classifier_score(torch.tensor([[0.75, 0.25], [0.25, 0.75]]))
    assert score.item() == pytest.approx(1.5**0.75 * 0.5**0.25)
    # The wrong way round, KL(p(y) ‖ p(y|x)), would give sqrt(4/3) = 1.1547 instead of 1.1398.
    assert score.item() != pytest.approx(math.sqrt(4 / 3), abs=0.01)


def test_the_score_is_that_of_scipys_entropies() -> None:
    rows = draw(50, 7).softmax(1)
    expected = np.exp(scipy.stats.entropy(rows.numpy(), rows.mean(0, keepdim=True).numpy(), axis=1).mean())
    assert classifier_score(rows).item() == pytest.approx(float(expected), rel=1e-12)


def test_coverage_counts_classes_with_enough_samples() -> None:
    # Seven of ten samples are 0, two are 1, one is 2, none is 3.
    rows = certain_of(0, 0, 0, 0, 0, 0, 0, 1, 1, 2)
    assert class_shares(rows).tolist() == pytest.approx([0.7, 0.2, 0.1, 0])
    assert [class_coverage(rows, share).item() for share in (0.05, 0.1, 0.15, 0.5, 0.8)] == [
        0.75, 0.75, 0.5, 0.25, 0,
    ]  # fmt: skip


def test_a_collapsed_generator_shows_in_coverage_and_entropy() -> None:
    assert class_coverage(certain_of(1, 1, 1, 1), 0.01).item() == 0.25
    assert class_entropy(certain_of(1, 1, 1, 1)).item() == 0
    assert class_entropy(certain_of(0, 1, 2, 3)).item() == pytest.approx(math.log(4))
    assert class_entropy(certain_of(0, 0, 0, 1)).item() == pytest.approx(
        -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    )


def test_certainty_is_the_mean_of_the_highest_probabilities() -> None:
    assert certainty(torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.0, 0.9]])).item() == pytest.approx(0.7)
    assert certainty(torch.full((3, 4), 0.25)).item() == 0.25


def test_the_frechet_distance_of_one_feature_by_hand() -> None:
    # Means 2 and 5, variances 1 and 4 (unbiased): 3² + 1 + 4 - 2 · sqrt(1 · 4) = 10.
    first, second = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[3.0], [5.0], [7.0]])
    assert frechet_distance(first, second).item() == pytest.approx(10)
    assert frechet_distance(second, first).item() == pytest.approx(10)
    assert frechet_distance(first, first).item() == pytest.approx(0, abs=1e-12)


def test_the_frechet_distance_is_that_of_scipys_square_root() -> None:
    first = draw(60, 6) @ draw(6, 6, seed=1)
    second = draw(40, 6, seed=2) + 0.3
    covariances = [np.cov(features.numpy().T) for features in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    means_apart = ((first.mean(0) - second.mean(0)) ** 2).sum().item()
    expected = means_apart + np.trace(covariances[0] + covariances[1] - 2 * root.real)
    assert frechet_distance(first, second).item() == pytest.approx(float(expected), rel=1e-9)


def test_the_frechet_distance_is_a_number_with_fewer_samples_than_features() -> None:
    assert frechet_distance(draw(5, 30), draw(4, 30, seed=1)).item() > 0
    assert frechet_distance(draw(5, 30), draw(5, 30)).item() == pytest.approx(0, abs=1e-5)


def test_a_matrix_square_root_by_hand_and_of_a_singular_matrix() -> None:
    # [[2, 1], [1, 2]]² = [[5, 4], [4, 5]].
    root = matrix_square_root(torch.tensor([[5.0, 4.0], [4.0, 5.0]], dtype=torch.float64))
    assert root.flatten().tolist() == pytest.approx([2, 1, 1, 2])
    singular = torch.tensor([[1.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    root = matrix_square_root(singular)
    assert torch.allclose(root @ root, singular)


def test_precision_and_recall_by_hand() -> None:
    # Balls reach to the nearest fellow: those of the real images have radius 1.
    real = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    # Those of the fakes reach from -0.5 to 0.5, from 0 to 1, and from 0.5 to 9.5; 5 itself is in no real ball.
    fake = torch.tensor([[0.0], [0.5], [5.0]])
    assert precision(real, fake, neighbour=1).item() == pytest.approx(2 / 3)
    assert recall(real, fake, neighbour=1).item() == pytest.approx(2 / 4)


def test_a_collapsed_set_is_precise_and_recalls_nothing() -> None:
    real = draw(200, 4)
    collapsed = real[:1] + 1e-3 * draw(200, 4, seed=1)
    assert precision(real, collapsed).item() == 1
    assert recall(real, collapsed).item() < 0.05
    assert (precision(real, real).item(), recall(real, real).item()) == (1, 1)


def test_precision_is_that_of_scikit_learns_neighbours() -> None:
    real, fake = draw(1500, 3), 1.5 * draw(1100, 3, seed=1)
    # The fourth, because each is its own nearest.
    radii = NearestNeighbors(n_neighbors=4).fit(real.numpy()).kneighbors(real.numpy())[0][:, 3]
    apart = np.linalg.norm(fake.numpy()[:, None] - real.numpy()[None], axis=2)
    assert precision(real, fake).item() == pytest.approx((apart <= radii).any(1).mean())


def test_the_nearest_neighbour_by_hand_is_the_first_of_equals() -> None:
    real = torch.tensor([[0, 0], [10, 10], [10, 10], [255, 255]], dtype=torch.uint8).reshape(4, 1, 1, 2)
    images = torch.tensor([[12, 9], [200, 255], [0, 0]], dtype=torch.uint8).reshape(3, 1, 1, 2)
    found = nearest_neighbours(images, real)
    assert found.indices.tolist() == [1, 3, 0]
    # A pixel differs by (2 + 1) / 2 and (55 + 0) / 2 on the average: bytes are subtracted without wrapping round.
    assert found.distances.tolist() == [1.5, 27.5, 0]
    search = NeighbourSearch(images, real)
    assert search.mean_distance().item() == pytest.approx(29 / 3)
    assert search.nearest_images().flatten(1).tolist() == [[10, 10], [255, 255], [0, 0]]


@pytest.mark.parametrize("worth_it", [0.0, 1.0], ids=["all at once", "pair by pair"])
def test_passing_over_what_is_far_leaves_out_no_neighbour(
    monkeypatch: pytest.MonkeyPatch, worth_it: float
) -> None:
    # 9 × 9 is no multiple of the tiles, and each image is there twice: the first of equals is wanted.
    smooth = functional.interpolate(draw(600, 12).reshape(600, 3, 2, 2), size=9, mode="bilinear")
    real = (smooth * 60 + 128).clamp(0, 255).to(torch.uint8).repeat(2, 1, 1, 1)
    images = (real[:50].float() + 20 * draw(50, 243, seed=1).reshape(50, 3, 9, 9)).clamp(0, 255).to(torch.uint8)
    monkeypatch.setattr(neighbours, "_WORTH_IT", worth_it)
    monkeypatch.setattr(neighbours, "_BLOCK", 256)
    monkeypatch.setattr(neighbours, "_PAIRS", 7)
    apart = np.abs(images.flatten(1).numpy()[:, None].astype(int) - real.flatten(1).numpy()[None]).sum(2)
    found = nearest_neighbours(images, real)
    assert found.indices.tolist() == apart.argmin(1).tolist()
    assert (found.distances * 243).round().int().tolist() == apart.min(1).tolist()


def test_control_tiles_that_claim_too_much_leave_out_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.tensor([[9, 9], [5, 15], [30, 30]], dtype=torch.uint8).reshape(3, 1, 1, 2)
    image = torch.tensor([[10, 10]], dtype=torch.uint8).reshape(1, 1, 1, 2)
    monkeypatch.setattr(neighbours, "_WORTH_IT", 1.0)
    assert nearest_neighbours(image, real).indices.tolist() == [0]
    # The second has the same sum over its tile, so that it is measured first: 10 away. The first is 2 away.
    sums = neighbours._sum_tiles
    monkeypatch.setattr(neighbours, "_sum_tiles", lambda images: 100 * sums(images))
    assert nearest_neighbours(image, real).indices.tolist() == [1]


def test_neighbours_in_blocks_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randint(0, 256, (9000, 1, 4, 4), generator=generator, dtype=torch.uint8)
    images = torch.randint(0, 256, (40, 1, 4, 4), generator=generator, dtype=torch.uint8)
    search = NearestNeighbors(n_neighbors=1, metric="manhattan", algorithm="brute").fit(real.flatten(1).numpy())
    distances, indices = search.kneighbors(images.flatten(1).numpy())
    found = nearest_neighbours(images, real)
    assert found.indices.max().item() > 4096
    assert (found.distances * 16).tolist() == distances[:, 0].tolist()
    assert found.indices.tolist() == indices[:, 0].tolist()
