"""A spec in fewer words: without its defaults, and only what a change changes."""

from copy import deepcopy
from typing import Any

import pytest

from ganlib.spec.documents.defaults import omit_defaults
from ganlib.spec.documents.differences import propose_name, say_changes
from ganlib.spec.fields import check_name
from ganlib.spec.files import read_spec_text
from ganlib.spec.parse import parse_spec
from recipes import read_texts

RELU, LEAKY = ({"layer": "activation", "kind": kind, "slope": 0.2} for kind in ("relu", "leaky_relu"))
DENSE = {"layer": "dense", "size": 64}
RATES = ("optimisers.generator.learning_rate", "optimisers.discriminator.learning_rate")
SPEC = {"seed": 1, "techniques": [], "generator": {"layers": [DENSE, RELU, DENSE, RELU]}}


def test_a_spec_without_its_defaults_makes_the_same_spec_and_is_shorter() -> None:
    specs = [parse_spec(read_spec_text(text, file)) for file, text in read_texts().items()]
    shortened = [omit_defaults(spec) for spec in specs]
    assert [parse_spec(short) for short in shortened] == specs
    assert all(
        len(str(short)) < len(str(spec.model_dump(mode="json")))
        for short, spec in zip(shortened, specs, strict=True)
    )


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("seed", 2, "seed: 1 → 2"),
        ("generator.layers", [DENSE, LEAKY, DENSE, LEAKY], "generator.layers[1], [3]: relu → leaky_relu"),
        ("generator.layers", [DENSE, RELU, {**DENSE, "size": 32}, RELU], "generator.layers[2].size: 64 → 32"),
        (
            "generator.layers",
            [DENSE, DENSE],
            "generator.layers: without activation (kind relu, slope 0.2) (2 times)",
        ),
        ("techniques", [{"technique": "r1", "weight": 10}], "techniques: with r1 (weight 10)"),
        ("losses.generator", "hinge", "losses.generator: – → hinge"),
    ],
)
def test_only_what_a_change_changes_is_said(path: str, value: object, words: str) -> None:
    assert say_changes(SPEC, {path: value}) == [words]


@pytest.mark.parametrize(
    ("name", "changes", "proposed"),
    [
        ("a", {"optimisers.generator.learning_rate": 0.0004}, "a, generator learning rate 0.0004"),
        ("a", dict.fromkeys(RATES, 0.0004), "a, learning rate 0.0004"),
        ("a, learning rate 0.1, seed 3", dict.fromkeys(RATES, 0.0004), "a, seed 3, learning rate 0.0004"),
        ("a", {"losses.generator": "hinge"}, "a, generator loss hinge"),
        ("a", {"generator.layers.0.size": 9}, "a, generator layer 0 size 9"),
        ("a", {"seed": 4, "iterations": 60, "batch_size": 8, "device": "cpu"}, "a, seed 4, iterations 60, 2 more"),
        ("a" * 100, {"seed": 4}, "a" * 92 + ", seed 4"),
        ("a", {"description": "x", "tags": []}, "a"),
    ],
)
def test_a_changed_spec_is_named_by_what_was_changed(name: str, changes: dict[str, Any], proposed: str) -> None:
    data = read_spec_text(read_texts()["gaussians-ring.yaml"], "")
    before = parse_spec(data).model_dump(mode="json") | {"name": name}
    after: dict[str, Any] = deepcopy(before)
    for path, value in changes.items():
        *parents, last = path.split(".")
        section: Any = after
        for parent in parents:
            section = section[int(parent)] if isinstance(section, list) else section[parent]
        section[last] = value
    assert propose_name(before, after) == proposed
    assert check_name(proposed) == proposed
