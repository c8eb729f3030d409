"""Packed points come back bit by bit; reduced curves keep every extreme."""

import math
import random
import struct

import pytest

from api.curves.points import Points, pack_points, reduce_points, unpack_points


def bits(values: object) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]  # type: ignore[attr-defined]


def test_packed_points_come_back_bit_by_bit() -> None:
    values = [0.1, -0.0, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308]
    iterations = [0, 1, 10, 500, 501, 999_999, 1_000_000_000]
    found = unpack_points(pack_points(Points(iterations, values)))
    assert list(found.iterations) == iterations
    assert bits(found.values) == bits(values)


def test_packed_points_of_an_unknown_version_are_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        unpack_points(b"\x09" + pack_points(Points([1], [1.0]))[1:])


def test_a_point_of_a_training_loss_takes_few_bytes() -> None:
    # A trainer logs float32 numbers: half of each float64's bytes are nearly empty, and steps are all alike.
    source = random.Random(0)
    values = [struct.unpack("<f", struct.pack("<f", source.gauss(1, 0.1)))[0] for _ in range(4096)]
    packed = pack_points(Points(range(10, 10 * 4096 + 1, 10), values))
    assert len(packed) / 4096 < 4.5


def make_wave(count: int) -> Points:
    return Points(list(range(count)), [math.sin(index / 50) for index in range(count)])


def test_a_reduced_curve_keeps_its_ends_and_every_spike() -> None:
    points = make_wave(10_000)
    values = list(points.values)
    values[1234], values[7777] = 50.0, -60.0
    reduced = reduce_points(Points(points.iterations, values), 200)
    kept = dict(zip(reduced.iterations, reduced.values, strict=True))
    assert len(reduced) <= 200
    assert list(reduced.iterations) == sorted(set(reduced.iterations))
    assert (kept[1234], kept[7777]) == (50.0, -60.0)
    assert (reduced.iterations[0], reduced.iterations[-1]) == (0, 9999)


@pytest.mark.parametrize("special", [float("nan"), float("inf"), float("-inf")])
def test_a_reduced_curve_keeps_nan_and_infinities_beside_the_extremes(special: float) -> None:
    points = make_wave(10_000)
    values = list(points.values)
    values[5000], values[5001] = special, 50.0
    reduced = reduce_points(Points(points.iterations, values), 200)
    kept = dict(zip(reduced.iterations, reduced.values, strict=True))
    assert len(reduced) <= 200
    assert bits([kept[5000]]) == bits([special])
    assert kept[5001] == 50.0


def test_a_short_curve_stays_as_it_is() -> None:
    points = make_wave(100)
    assert reduce_points(points, 100) is points


def test_a_curve_of_nothing_but_nan_is_reduced_too() -> None:
    reduced = reduce_points(Points(list(range(100)), [float("nan")] * 100), 10)
    assert 2 < len(reduced) <= 10


def test_finite_values_whose_sum_overflows_are_reduced_like_others() -> None:
    values = [1.7e308 if index % 2 else -1.0 for index in range(100)]
    reduced = reduce_points(Points(list(range(100)), values), 11)
    assert len(reduced) <= 11
    assert {-1.0, 1.7e308} <= set(reduced.values)
