"""Specs as texts: YAML 1.2's values, limits before anything is built, and sentences with a place."""

import codecs
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganlib.errors import SpecInvalid
from ganlib.spec.documents import compose
from ganlib.spec.documents.nodes import MAX_DEPTH, MAX_NODES
from ganlib.spec.documents.render import render_yaml
from ganlib.spec.files import TEXT_FIELDS, apply_overrides, read_spec_bytes, read_spec_file, read_spec_text
from ganlib.spec.job import JobSpec

PARSERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]


@pytest.fixture(params=PARSERS, ids=lambda parser: str(parser.__name__))
def _each_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's parser in Python and, where it is built, the one in C."""
    monkeypatch.setattr(compose, "PARSER", request.param)


def refuse(text: str | bytes) -> str:
    with pytest.raises(SpecInvalid) as caught:
        read_spec_bytes(text if isinstance(text, bytes) else text.encode(), "spec.yaml")
    (problem,) = caught.value.problems
    assert problem.field == "spec.yaml"
    return problem.message


@pytest.mark.usefixtures("_each_parser")
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0100", 100),
        ("0o100", 64),
        ("0x1F", 31),
        ("+12", 12),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("1e4", 10_000),
        ("1e-4", 1e-4),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("2024-01-05", "2024-01-05"),
        ("~", None),
        ("'0100'", "0100"),
        ("!!str 0100", "0100"),
        ("!!float 3", 3.0),
        ("=", "="),
    ],
)
def test_plain_values_are_those_of_yamls_core_schema(written: str, value: Any) -> None:
    read = read_spec_text(f"seed: {written}", "x")["seed"]
    assert (read, type(read)) == (value, type(value) if written != "1e4" else float)


@pytest.mark.usefixtures("_each_parser")
def test_texts_of_a_spec_need_no_quotes() -> None:
    text = (
        "name: 1e3\ntags: [2018, 0100, true, no, 2024-01-05]\nqueue: {commit: 0012345, worker_labels: [3090]}\n"
        "recipe: {section: 4.10, paper: 12e5678}\ndescription:\n"
    )
    assert read_spec_text(text, "x") == {
        "name": "1e3",
        "tags": ["2018", "0100", "true", "no", "2024-01-05"],
        "queue": {"commit": "0012345", "worker_labels": ["3090"]},
        "recipe": {"section": "4.10", "paper": "12e5678"},
        "description": None,
    }
    changed = apply_overrides({}, ["queue.commit=0012345", "tags=[007]", "name=a=b", "tags.0=08", "seed=1e4"])
    assert changed == {"queue": {"commit": "0012345"}, "tags": ["08"], "name": "a=b", "seed": 10_000}


def test_the_text_fields_are_those_of_the_schema() -> None:
    schema = JobSpec.model_json_schema(mode="serialization")

    def list_texts(path: str, part: dict[str, Any]) -> set[str]:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        unions = [list_texts(path, inner) for kind in ("anyOf", "oneOf") for inner in part.get(kind, ())]
        below = [
            list_texts(f"{path}.{name}" if path else name, inner)
            for name, inner in part.get("properties", {}).items()
        ]
        items = [list_texts(path, inner) for inner in (part.get("items"), *part.get("prefixItems", ())) if inner]
        is_text = part.get("type") == "string" and not {"enum", "const"} & set(part)
        return set().union({path} if is_text else set(), *unions, *below, *items)

    assert list_texts("", schema) == TEXT_FIELDS


@pytest.mark.usefixtures("_each_parser")
def test_anchors_aliases_and_merges_are_read() -> None:
    text = (
        "a: &adam {kind: adam, learning_rate: 1e-4}\nb:\n  <<: *adam\n  learning_rate: 4.0e-4\n"
        "c: {<<: [*adam, {kind: sgd, momentum: 0.5}]}\nd: [*adam]\n"
    )
    assert read_spec_text(text, "x") == {
        "a": {"kind": "adam", "learning_rate": 1e-4},
        "b": {"kind": "adam", "learning_rate": 4e-4},
        "c": {"kind": "adam", "learning_rate": 1e-4, "momentum": 0.5},
        "d": [{"kind": "adam", "learning_rate": 1e-4}],
    }


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.usefixtures("_each_parser")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tags: " + "[" * 3000, "line 1, column 38: this is nested too deeply; at most 32 levels are read"),
        ("- " * 3000, "line 1, column 65: this is nested too deeply"),
        ("tags: &a\n  - [*a]", "line 2, column 6: the alias *a stands within what it names"),
        (BOMB, "line 5, column 8: this is too much for a spec; at most 20,000 fields and values"),
        ("a: [" + "b," * 20_000 + "]", "this is too much for a spec"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: 'a' is given twice; keep one of the two"),
        ('x: {a: 1, "a": 2}', "line 1, column 11: 'a' is given twice"),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document begins here (---); a spec is one"),
        ("a:\n\tb: 1", "line 2, column 1: a tab stands here; YAML takes spaces in its place"),
        ("a: [*b]", "line 1, column 5: nothing above is named &b"),
        ("a: !!python/name:os.system x", "line 1, column 4: the tag !!python/name:os.system is not read"),
        ("a: !!set {x}", "line 1, column 4: the tag !!set is not read"),
        ("a: !!int x", "line 1, column 4: its tag says that 'x' is an integer; it is not"),
        ("a: x\0y", "line 1, column 5: the character NUL is not allowed"),
        ("a: 1\nb: \x1b[31m", "line 2, column 4: the character U+001B is not allowed"),
        ("? [a, b]\n: 1", "line 1, column 3: a field's name must be text"),
        (
            "a: b: c",
            "line 1, column 5: this is not YAML: no field can begin here; put a text with a colon in quotes",
        ),
        ("a: 'b", "line 1, column 4: this is not YAML: the text that begins here is not closed"),
        ("<<: 3", "line 1, column 5: << takes the fields of a mapping"),
        ("seed: " + "9" * 5000, "line 1, column 7: a number has at most 400 characters"),
        (b"a: \xe4", "line 1, column 4: this is no text in UTF-8; save the file as UTF-8"),
    ],
)
def test_what_is_no_spec_is_refused_with_its_place(text: str | bytes, said: str) -> None:
    assert said in refuse(text)


def test_nothing_is_built_of_what_the_limits_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    read = compose._Composer.take
    taken: list[Any] = []
    monkeypatch.setattr(compose._Composer, "take", lambda self, event: (taken.append(event), read(self, event))[1])
    refuse("tags: " + "[" * 30_000)
    assert len(taken) < MAX_DEPTH + 10
    # Control: without the limits all of it is read, and the bomb would unfold to a hundred million values.
    monkeypatch.setattr(compose, "MAX_DEPTH", 10**9)
    monkeypatch.setattr(compose, "MAX_NODES", 10**12)
    taken.clear()
    refuse("tags: " + "[" * 500)
    assert len(taken) > 500
    root = compose.compose(BOMB)
    assert root is not None
    assert root.size > 10**8 > MAX_NODES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": ' + "[" * 100_000, "this is nested too deeply"),
        ('{"a": ' * 40 + "1" + "}" * 40, "this is nested too deeply"),
        ('{"a": [' + "1," * 20_000 + "1]}", "this is too much for a spec"),
        ('{"a": {"b": 1, "b": 2}}', "'b' is given twice"),
    ],
)
def test_json_has_the_same_limits(text: str, said: str) -> None:
    assert said in refuse(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", ["name: größe\r\nseed: 3\r\n", '{"name": "größe",\r\n\t"seed": 3}'])
def test_files_of_other_systems_are_read(tmp_path: Path, encoding: str, text: str) -> None:
    path = tmp_path / "spec"
    path.write_bytes(text.encode(encoding))
    assert read_spec_file(path) == {"name": "größe", "seed": 3}
    assert read_spec_bytes(codecs.BOM_UTF16_BE + text.encode("utf-16-be"), "x")["name"] == "größe"


def test_yaml_that_is_written_reads_the_same_by_old_and_new_rules() -> None:
    data = {
        "texts": ["no", "0100", "12:30", "12e5678", "1e4", "0o17", "2024-01-05", "~", "größe: 1"],
        "rate": 1e-5,
    }
    text = render_yaml(data)
    assert read_spec_text(text, "x") == data == yaml.safe_load(text)
    assert "'12e5678'" in text
