import decimal
import math
from typing import Any

import numpy as np
import pytest
import torch

from ganvas.tracking.values import MetricsEncoder, check_file_name, chunk, count_bins, read_step


def encode(**values: Any) -> str:
    parts, waiting = MetricsEncoder().encode(values)
    assert not waiting
    return "{" + ",".join(parts) + "}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1, "1.0"),
        (True, "1.0"),
        (1e300, "1e+300"),
        (math.nan, '"nan"'),
        (math.inf, '"inf"'),
        (-math.inf, '"-inf"'),
        (np.float32(0.5), "0.5"),
        (np.float64(0.1), "0.1"),
        (np.int64(7), "7.0"),
        (np.array([3.5]), "3.5"),
        (np.float64("nan"), '"nan"'),
        (torch.tensor(0.25, requires_grad=True), "0.25"),
        (torch.tensor([2]), "2.0"),
        (torch.tensor(1.5, dtype=torch.bfloat16), "1.5"),
        (decimal.Decimal("0.5"), "0.5"),
    ],
)
def test_numbers_of_all_kinds_are_kept(value: Any, text: str) -> None:
    assert encode(a=value) == f'{{"a":{text}}}'


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        ("0.5", TypeError, "must be a number"),
        (None, TypeError, "must be a number"),
        ([1.0], TypeError, "must be a number"),
        (torch.zeros(3), ValueError, "3 values where one is wanted; log their mean"),
        (np.zeros((2, 2)), ValueError, "4 values where one is wanted"),
        (1j, TypeError, "must be a number"),
        (10**400, ValueError, "'a' is too large: numbers go up to 1.8e308. Log its logarithm"),
        (np.array(["x"]), TypeError, "must be a number"),
        (torch.tensor(1j), TypeError, "must be a number"),
    ],
)
def test_what_is_no_number_is_refused_with_what_to_do(value: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        encode(a=value)


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "x" * 251, "a\0", "\ud800"])
def test_a_name_that_no_service_takes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a metric's name"):
        MetricsEncoder().encode({name: 1.0})


def test_names_are_free_text_and_more_values_than_an_event_holds_are_several() -> None:
    assert encode(**{'Loss/D(x) "é"': 1.0}) == '{"Loss/D(x) \\"\\u00e9\\"":1.0}'
    parts, _ = MetricsEncoder().encode({f"a{number}": 1.0 for number in range(600)})
    assert [text.count(":") for text in chunk(parts)] == [256, 256, 88]


def test_steps_are_integers_of_any_library() -> None:
    assert [read_step(step) for step in (0, np.int32(5), torch.tensor(7), True)] == [0, 5, 7, 1]
    for step in (-1, 10**9 + 1):
        with pytest.raises(ValueError, match="from 0 to 1,000,000,000"):
            read_step(step)
    with pytest.raises(TypeError, match="must be an integer"):
        read_step(1.5)


@pytest.mark.parametrize("name", ["/etc/passwd", "../a", "a/../b", "a//b", "a\\b", "C:/a", "a/ b", "."])
def test_a_files_name_stays_in_the_run(name: str) -> None:
    with pytest.raises(ValueError, match="a file's name"):
        check_file_name(name)


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 1.0, 1.0, 64.0, math.nan, math.inf],
        np.array([[0.0, 1.0, 1.0], [64.0, np.nan, np.inf]]),
        torch.tensor([0.0, 1.0, 1.0, 64.0, math.nan, math.inf], dtype=torch.float16),
    ],
)
def test_a_histogram_counts_into_64_bins_by_hand(values: Any) -> None:
    counted = count_bins(values)
    # Bins are 1 wide: 0 lies in the first, both ones in the second, 64 in the last.
    assert (counted["low"], counted["high"], counted["not_finite"]) == (0.0, 64.0, 2)
    assert counted["counts"] == [1, 2, *[0] * 61, 1]


def test_a_histogram_of_one_value_or_none_has_a_width() -> None:
    assert count_bins([2.0, 2.0])["counts"][32] == 2
    assert (count_bins([2.0])["low"], count_bins([2.0])["high"]) == (1.0, 3.0)
    assert count_bins(np.zeros(0)) == {"low": 0.0, "high": 1.0, "counts": [0] * 64, "not_finite": 0}
