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
    ("a tag in quotes", make_spec(tags=['"two words"']), "tags.0", "letters"),
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


YAML_SPEC = """name: größe 0100
dataset: digits
latents: {size: 2}
generator: {layers: [{layer: dense, size: 64}, {layer: reshape, shape: [1, 8, 8]}]}
discriminator: {layers: [flatten, {layer: dense, size: 1}]}
iterations: 1e4
batch_size: 0100
queue: {commit: 0012345}
"""


@pytest.mark.parametrize("kind", ["application/yaml", "text/x-yaml; charset=utf-8"])
def test_a_spec_may_be_sent_as_yaml(client: TestClient, kind: str) -> None:
    for body in (YAML_SPEC.encode(), YAML_SPEC.encode("utf-16")):
        answer = client.post("/jobs", content=body, headers={"content-type": kind})
        assert answer.status_code == 201, answer.text
        spec = answer.json()["spec"]
        assert (spec["name"], spec["iterations"], spec["batch_size"]) == ("größe 0100", 10_000, 100)
        assert spec["queue"]["commit"] == "0012345"
    refused = client.post("/jobs", content=b"tags: " + b"[" * 3000, headers={"content-type": kind})
    assert "line 1, column 38: this is nested too deeply" in refused.json()["error"]["message"]
    refused = client.post("/jobs", content=YAML_SPEC.encode())
    assert "send YAML with Content-Type: application/yaml" in refused.json()["error"]["message"]


def test_whole_numbers_with_an_exponent_are_integers_and_stay_exact(client: TestClient) -> None:
    body = json.dumps(make_spec(iterations=1, seed=2)).replace('"seed": 2', '"seed": 9.007199254740993e15')
    answer = client.post("/jobs", content=body.replace('"iterations": 1', '"iterations": 1e4'))
    assert (answer.json()["iterations"], answer.json()["seed"]) == (10_000, 9_007_199_254_740_993)


LONG = "x" * 900_000


@pytest.mark.parametrize(
    "spec",
    [
        make_spec(**{f"field{number}": number for number in range(9000)}),
        make_spec(**{LONG: 1}),
        make_spec(dataset=LONG),
        make_spec(generator={"layers": [LONG]}),
        make_spec(name=[LONG] * 1),
        make_spec(techniques=[{"technique": LONG, **{f"f{number}": 1 for number in range(400)}}] * 15),
        make_spec(tags=[{"a": {"b": {"c": "x" * 100}}}] * 32),
    ],
    ids=["fields", "a name", "a data set", "a layer", "a list", "techniques", "tags"],
)
def test_a_refusal_is_short_however_much_is_wrong(client: TestClient, spec: Any) -> None:
    content = json.dumps(spec)[:1_040_000] if len(json.dumps(spec)) > 1_048_576 else json.dumps(spec)
    answer = client.post("/jobs", content=content)
    assert answer.status_code == 422
    assert len(answer.content) < 20_000
    assert len(answer.json()["error"]["details"]["problems"]) <= 21


def test_many_problems_are_counted_and_the_first_ones_named(client: TestClient) -> None:
    fields = {f"field{number}": number for number in range(9000)}
    problems = client.post("/jobs", json=make_spec(**fields)).json()["error"]["details"]["problems"]
    assert [problem["field"] for problem in problems] == [f"field{number}" for number in range(20)] + [""]
    assert problems[-1]["message"] == "and 8,980 more; correct these first"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": "cifar-10"}, "did you mean cifar10?"),
        ({"dataset": "Mnist"}, "did you mean mnist?"),
        ({"optimizers": {}}, "did you mean optimisers?"),
        ({"optimisers": {"generator": {"learning_rte": 1}}}, "did you mean learning_rate?"),
        ({"learning_rate": 1}, "did you mean optimisers.generator.learning_rate?"),
        ({"losses": {"generator": "non-saturating"}}, "did you mean non_saturating?"),
        ({"device": "gpu"}, "allowed: 'auto', 'cpu' or 'cuda'"),
        ({"techniques": [{"technique": "gradient-penalty"}]}, "did you mean gradient_penalty?"),
        ({"techniques": ["r1"]}, "such as {technique: r1}"),
        ({"generator": "dcgan_32_genrator"}, "such as {preset: dcgan_32_generator}"),
        ({"generator": {"preset": "dcgan-32-generator"}}, "did you mean dcgan_32_generator?"),
        ({"generator": {"layers": ["leaky relu"]}}, "did you mean leaky_relu?"),
        ({"generator": {"layers": ["conv"]}}, "did you mean {layer: conv, …}?"),
        ({"generator": {"layers": [{"layer": "relu"}]}}, "write relu alone"),
        ({"generator": {"layers": [{"layer": "transposed-conv"}]}}, "did you mean transposed_conv?"),
        ({"evaluation": {"every": 5, "metrics": ["acuracy"]}}, "did you mean accuracy?"),
        ({"optimisers": {"generator": "sgd"}}, "such as {kind: sgd}"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(
    client: TestClient, changes: dict[str, Any], said: str
) -> None:
    answer = client.post("/jobs", json=make_spec(**changes))
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]
