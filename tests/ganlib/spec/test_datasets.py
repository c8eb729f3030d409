"""The data set's part of a spec."""

from collections.abc import Callable
from typing import Any

import pytest

from ganlib.errors import SpecInvalid
from ganlib.spec.job import training_identity
from ganlib.spec.parse import parse_spec
from ganlib.spec.sections.datasets import FolderSpec

MakeData = Callable[..., dict[str, Any]]

OUTSIDE_PATHS = [
    "/etc", "../data", "a/../../b", "a/..", ".", "./a", "a//b", "a/", "~/a", "a\\..\\b", "C:\\a", ".hidden/a",
    "a\nb", "a\0b",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE_PATHS)
def test_a_path_out_of_the_data_folders_is_refused(make_spec_data: MakeData, path: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec_data(dataset={"name": "folder", "path": path, "size": 8, "colour": "grey"}))
    (problem,) = caught.value.problems
    assert problem.field == "dataset.path"
    assert "must be a path below the data folder" in problem.message


def test_a_path_below_the_data_folders_is_taken(make_spec_data: MakeData) -> None:
    spec = parse_spec(make_spec_data(dataset={"name": "folder", "path": "a/b c.zip", "size": 8, "colour": "grey"}))
    assert spec.dataset == FolderSpec(path="a/b c.zip", size=8, colour="grey")


@pytest.mark.parametrize(
    "dataset",
    ["mnist", {"name": "cifar10", "colour": "grey", "size": 28}, {"name": "folder", "path": "a.zip", "size": 28}],
)
def test_each_data_set_survives_json_and_decides_the_runs_identity(
    make_spec_data: MakeData, dataset: dict[str, Any]
) -> None:
    presets = {
        "generator": {"preset": "winkler_mnist_generator"},
        "discriminator": {"preset": "winkler_mnist_discriminator"},
    }
    if isinstance(dataset, dict) and dataset["name"] == "folder":
        dataset = {**dataset, "colour": "grey"}
    spec = parse_spec(make_spec_data(dataset=dataset, **presets))
    assert parse_spec(spec.model_dump(mode="json")) == spec
    resized = parse_spec(make_spec_data(dataset={"name": "digits", "size": 28}, **presets))
    assert training_identity(spec) != training_identity(resized)
