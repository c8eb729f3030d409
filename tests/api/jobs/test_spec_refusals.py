"""Bad specs over HTTP: each a clear refusal, and nothing is stored."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.services import TINY_SPEC, make_spec

DENSE = {"layer": "dense", "size": 64}
TWO = {"layer": "dense", "size": 2}
RESHAPE_9 = {"layer": "reshape", "shape": [1, 9, 9]}
RATE_FIELD = "optimisers.generator.learning_rate"


def generator(*layers: Any) -> dict[str, Any]:
    return make_spec(generator={"layers": list(layers)})


# What is wrong, the spec, the field that the answer names, and a part of what it says.
BAD_SPECS: list[tuple[str, Any, str, str]] = [
    ("a list", [1, 2], "", "mapping"),
    ("a text", "winkler", "", "mapping"),
    ("null", None, "", "mapping"),
    ("nothing in it", {}, "iterations", "required"),
    ("no data set", {k: v for k, v in TINY_SPEC.items() if k != "dataset"}, "dataset", "required"),
    ("an unknown field", make_spec(learning_rate=0.1), "learning_rate", "no such field"),
    ("an unknown data set", make_spec(dataset="imagenet"), "dataset", "mnist"),
    ("a path for a data set", make_spec(dataset="../../etc/passwd"), "dataset", "mnist"),
    ("an unknown preset", make_spec(generator={"preset": "nope"}), "generator", "no preset"),
    ("a number as name", make_spec(name=7), "name", "text"),
    ("markup as name", make_spec(name="<script>"), "name", "letters"),
    ("text for a number", make_spec(iterations="many"), "iterations", "integer"),
    ("true for a number", make_spec(iterations=True), "iterations", "number"),
    ("no iterations", make_spec(iterations=0), "iterations", "1"),
    ("negative iterations", make_spec(iterations=-5), "iterations", "1"),
    ("huge iterations", make_spec(iterations=10**9), "iterations", "at most"),
    ("absurd iterations", make_spec(iterations=10**300), "iterations", "at most"),
    ("half an iteration", make_spec(iterations=1.5), "iterations", "integer"),
    ("a batch of one", make_spec(batch_size=1), "batch_size", "2"),
    ("a huge batch", make_spec(batch_size=10**6), "batch_size", "at most"),
    ("a negative seed", make_spec(seed=-1), "seed", "0"),
    ("a huge grid", make_spec(samples={"rows": 1000, "columns": 1000}), "samples.rows", "32"),
    ("too many grids", make_spec(iterations=10_000_000, sample_every=1), "sample_every", "grids"),
    ("a negative layer", generator({"layer": "dense", "size": -64}), "generator.layers.0.size", "1"),
    ("a huge layer", generator({"layer": "dense", "size": 10**9}), "generator.layers.0.size", "at most"),
    ("an unknown layer", generator({"layer": "quantum"}), "generator.layers.0", "allowed"),
    ("an unknown bare layer", generator("swish"), "generator.layers.0", "allowed"),
    ("no layers", generator(), "generator.layers", "at least 1"),
    ("too many layers", generator(*[DENSE] * 300), "generator.layers", "256"),
    ("a reshape that does not fit", generator(DENSE, RESHAPE_9), "generator.layers.1", "81"),
    ("a generator of another shape", make_spec(dataset="mnist"), "generator.layers.1", "28"),
    ("two logits", make_spec(discriminator={"layers": ["flatten", TWO]}), "discriminator.layers.1", "logit"),
    ("an unknown loss", make_spec(losses={"generator": "hinge"}), "losses.generator", "non_saturating"),
    ("an unknown technique", make_spec(techniques=[{"technique": "magic"}]), "techniques.0", "ema"),
    ("a negative rate", make_spec(optimisers={"generator": {"learning_rate": -1}}), RATE_FIELD, "0"),
    ("a tag with a space", make_spec(tags=["two words"]), "tags.0", "letters"),
    ("a foreign device", make_spec(device="cuda:1; rm -rf"), "device", "cpu"),
]  # fmt: skip


def with_rate(text: str) -> bytes:
    spec = make_spec(optimisers={"generator": {"learning_rate": "HERE"}})
    return json.dumps(spec).replace('"HERE"', text).encode()


# Bodies that JSON itself cannot write, or should not.
BAD_BODIES: list[tuple[str, bytes, str, str]] = [
    ("NaN", with_rate("NaN"), RATE_FIELD, "finite"),
    ("infinity", with_rate("Infinity"), RATE_FIELD, "finite"),
    ("a number beyond a float", with_rate("1e400"), RATE_FIELD, "finite"),
    ("no JSON", b"name: tiny", "", "not JSON"),
    ("nothing", b"", "", "not JSON"),
    ("bytes", b"\xff\xfe\x00", "", "not JSON"),
    ("half a spec", json.dumps(TINY_SPEC)[:-10].encode(), "", "not JSON"),
    ("a hundred thousand brackets", b"[" * 100_000, "", "nested too deeply"),
    ("a number of 5,000 digits", with_rate("9" * 5000), "", "not JSON"),
]


def assert_refused(client: TestClient, body: bytes, field: str, text: str) -> None:
    answer = client.post("/jobs", content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "spec_invalid")
    named = {problem["field"]: problem["message"] for problem in error["details"]["problems"]}
    assert field in named
    assert text in named[field]
    assert client.get("/jobs").json()["items"] == []


@pytest.mark.parametrize(
    ("spec", "field", "text"), [case[1:] for case in BAD_SPECS], ids=[case[0] for case in BAD_SPECS]
)
def test_a_bad_spec_is_refused_and_nothing_is_stored(client: TestClient, spec: Any, field: str, text: str) -> None:
    assert_refused(client, json.dumps(spec).encode(), field, text)


@pytest.mark.parametrize(
    ("body", "field", "text"), [case[1:] for case in BAD_BODIES], ids=[case[0] for case in BAD_BODIES]
)
def test_a_bad_body_is_refused_and_nothing_is_stored(
    client: TestClient, body: bytes, field: str, text: str
) -> None:
    assert_refused(client, body, field, text)


def test_a_spec_that_is_too_large_is_refused_with_its_limit(client: TestClient) -> None:
    answer = client.post("/jobs", json=make_spec(description="x" * 1_100_000))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert "1,048,576" in answer.json()["error"]["message"]
    assert client.get("/jobs").json()["items"] == []


def test_control_the_spec_that_all_of_these_spoil_is_taken(client: TestClient) -> None:
    assert client.post("/jobs", json=TINY_SPEC).status_code == 201
