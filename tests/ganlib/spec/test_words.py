"""A spec in fewer words: without its defaults, and only what a change changes."""

import pytest

from ganlib.spec.documents.defaults import omit_defaults
from ganlib.spec.documents.differences import say_changes
from ganlib.spec.files import read_spec_text
from ganlib.spec.parse import parse_spec
from recipes import read_texts

RELU, LEAKY = ({"layer": "activation", "kind": kind, "slope": 0.2} for kind in ("relu", "leaky_relu"))
DENSE = {"layer": "dense", "size": 64}
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
