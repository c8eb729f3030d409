"""Values of a spec in words: the same in tables, comparisons and figures."""

from typing import Any

import pytest

from dashboard.figures.planning import label_runs
from dashboard.web.specs import compare_specs, show_spec
from ganlib.spec.documents.differences import show_value
from tests.dashboard.figures.test_planning import make_job


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (True, "on"),
        (False, "off"),
        (2000, "2,000"),
        (0.0002, "0.0002"),
        ("hinge", "hinge"),
        ([], "none"),
        ([{"technique": "r1", "weight": 10.0}, {"technique": "ema"}], "r1 (weight 10), ema"),
        ({"preset": "dcgan_generator", "size": None}, "dcgan_generator"),
    ],
)
def test_a_value_has_one_wording(value: Any, words: str) -> None:
    assert show_value(value) == words


def test_a_comparison_and_a_figure_say_the_same_of_a_field() -> None:
    specs: list[dict[str, Any]] = [{"deterministic": True}, {"deterministic": False}]
    (row,) = compare_specs(specs).rows
    labels = label_runs([make_job(f"x{n}", **spec) for n, spec in enumerate(specs)], "changes", {})
    assert labels == [f"{row.path} {value}" for value in row.values] == ["deterministic on", "deterministic off"]


def test_yaml_leaves_out_fields_that_are_null() -> None:
    assert show_spec({"name": "a", "dataset": {"name": "digits", "labels": None}, "seed": None}) == (
        "name: a\ndataset: {name: digits}\n"
    )
