"""The check of a spec over HTTP: its text and its fields are one thing, and every problem has a field."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.server.specs.estimate import estimate, say_time
from ganlib.spec.files import change_text, read_spec_text
from ganlib.spec.parse import parse_spec, review_spec
from recipes import read_texts
from tests.support.fake_worker import FakeWorker

FIRST = read_texts()["first-light.yaml"]


@pytest.fixture
def worker(client: TestClient) -> FakeWorker:
    return FakeWorker(client)


def check(client: TestClient, text: str, **changes: Any) -> dict[str, Any]:
    answer = client.post("/specs/validate", json={"text": text, "changes": changes})
    assert answer.status_code == 200, answer.text
    review: dict[str, Any] = answer.json()
    return review


def test_a_recipe_is_valid_and_its_networks_and_its_time_are_told(client: TestClient) -> None:
    review = check(client, FIRST)
    assert (review["is_valid"], review["problems"], review["text"]) == (True, [], FIRST)
    assert review["data"] == parse_spec(read_spec_text(FIRST, "")).model_dump(mode="json")
    generator, discriminator = review["networks"]
    assert (generator["given"], generator["expected"], generator["parameters"]) == ([32], [1, 28, 28], 6_609_473)
    assert generator["layers"][6]["shape"] == [128, 7, 7]
    assert discriminator["layers"][0]["layer"]["kernel"] == 5
    assert (review["estimate"]["basis"], review["estimate"]["text"]) == ("recipe", "about 4 min on one CPU core")
    assert client.get("/jobs").json()["items"] == [], "nothing was started"


def test_fields_are_set_in_the_text_which_keeps_its_comments(client: TestClient) -> None:
    review = check(
        client, FIRST, iterations="6000", name="twice, as long", **{"optimisers.generator.learning_rate": "5e-4"}
    )
    assert review["is_valid"]
    changed = [line for line in review["text"].splitlines() if line not in FIRST.splitlines()]
    assert [line.split(":")[0].strip() for line in changed] == ["name", "generator", "iterations"]
    assert review["text"].startswith(FIRST[: FIRST.index("name:")]), "the comments above stay"
    assert review["data"]["optimisers"]["generator"]["learning_rate"] == 0.0005
    assert review["estimate"]["text"] == "about 8 min on one CPU core"
    # Both ways: the text says what the fields say, and the other way round.
    assert check(client, review["text"])["data"] == review["data"]


def test_layers_are_written_as_people_write_them_and_a_preset_stays_one_until_it_is_edited(
    client: TestClient,
) -> None:
    text = FIRST[: FIRST.index("generator:")] + "generator: {preset: winkler_mnist_generator}\n"
    text += FIRST[FIRST.index("discriminator:") :]
    review = check(client, text)
    assert review["networks"][0]["preset"] == "winkler_mnist_generator"
    layers = [layer["layer"] for layer in review["networks"][0]["layers"]]
    layers[0] = layers[0] | {"size": 512}
    edited = check(client, text, **{"generator.layers": layers})
    assert edited["is_valid"]
    assert "preset: winkler_mnist_generator" not in edited["text"]
    assert (
        "generator:\n  layers:\n    - {layer: dense, size: 512}\n    - relu\n    - batch_norm\n" in edited["text"]
    )
    assert edited["networks"][0]["parameters"] < review["networks"][0]["parameters"]
    # One layer less: the one that does not fit any more is named, and those before it keep their shapes.
    wrong = check(client, edited["text"], **{"generator.layers": [*layers[:3], *layers[6:]]})
    assert [problem["field"] for problem in wrong["problems"]] == ["generator.layers.3"]
    assert [layer["shape"] for layer in wrong["networks"][0]["layers"][:4]] == [[512]] * 3 + [None]
    assert "reshape" in wrong["networks"][0]["layers"][3]["problem"]
    assert wrong["estimate"] is None


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"iterations": "many"}, "iterations", "must be an integer"),
        ({"iterations": ""}, "iterations", "must be an integer"),
        ({"batch_size": "{a: ["}, "batch_size", "cannot be read"),
        ({"name.x": "1"}, "name.x", "cannot be set"),
        ({"losses.generator": "hinge"}, "losses.generator", "does not go with"),
        ({"generator.layers": [{"layer": "dense"}]}, "generator.layers.0.size", "required"),
        ({"generator.layers": []}, "generator.layers", "at least 1"),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    client: TestClient, changes: dict[str, Any], field: str, said: str
) -> None:
    review = check(client, FIRST, **changes)
    assert not review["is_valid"]
    (problem,) = (problem for problem in review["problems"] if problem["field"] == field)
    assert said in problem["message"]
    assert len(review["networks"]) == 2, "the networks are shown whatever is wrong"


@pytest.mark.parametrize("text", ["", "name: [", "- a", "a: .nan\nb: .inf\nlatents: {size: .nan}", "[" * 5000])
def test_a_text_that_is_no_spec_is_an_answer_too(client: TestClient, text: str) -> None:
    review = check(client, text, iterations="5")
    assert not review["is_valid"]
    assert review["problems"]


def test_every_recipes_text_takes_fields_and_layers_and_keeps_its_head() -> None:
    for text in read_texts().values():
        data = read_spec_text(text, "")
        spec = parse_spec(data).model_dump(mode="json")
        changes = {f"{player}.layers": spec[player]["layers"] for player in ("generator", "discriminator")}
        changed, after = change_text(
            text, data, {"name": "ü, 0.1", "dataset.labels": "100", "device": "cpu", **changes}
        )
        assert read_spec_text(changed, "") == after
        assert changed.startswith(text[: text.index("name:")]), "no comment above the spec is lost"
        assert after["dataset"]["labels"] == 100
        unchanged = {"name": spec["name"], "dataset": data["dataset"], "device": "auto"}
        assert parse_spec(after | unchanged).model_dump(mode="json") == spec


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("a: 1 # one\nb: 2\n", {"a": "5"}, "a: 5 # one\nb: 2\n"),
        ("a: 1\nb: {c: 2}\n# end", {"b.d": "x"}, "a: 1\nb: {c: 2, d: x}\n# end"),
        ("a: {}\n", {"a.b.c": "1"}, "a: {b: {c: 1}}\n"),
        ("a:\n  b: 1 # one\n\nc: 2", {"a.d": "3"}, "a:\n  b: 1 # one\n  d: 3\n\nc: 2"),
        ("a:\nb: 1", {"a": "2"}, "a: 2\nb: 1"),
        ("a: |\n  text\n  more\nb: 1", {"c": "2"}, "a: |\n  text\n  more\nb: 1\nc: 2"),
        ("b: &x {c: 1}\nd: *x\n", {"d.c": "2"}, "b: {c: 1}\nd: {c: 2}\n"),
        ('{"a": 1}', {"b": "2"}, '{"a": 1, b: 2}'),
        ("a: [1, 2]\n", {"a.1": "ü"}, "a: [1, ü]\n"),
    ],
)
def test_one_value_of_a_text_is_set_and_nothing_else(text: str, changes: dict[str, Any], expected: str) -> None:
    changed, data = change_text(text, read_spec_text(text, ""), changes)
    assert changed == expected
    assert read_spec_text(changed, "") == data


def test_a_run_that_this_service_has_seen_says_its_pace(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit(name="seen", iterations=200)
    worker.claim()
    worker.train(200)
    worker.finish("succeeded")
    spec = client.get(f"/jobs/{job}").json()["spec"]
    text = str(spec).replace("'", '"').replace("None", "null").replace("True", "true").replace("False", "false")
    seen = check(client, text, **{"seed": 5, "optimisers.generator.learning_rate": 0.5})
    assert seen["estimate"]["basis"] == "run"
    assert seen["estimate"]["text"].endswith(" here")
    assert check(client, text, batch_size=32)["estimate"]["basis"] == "networks", "another batch has another pace"


def test_costs_of_the_recipes_are_guessed_within_a_factor_of_two() -> None:
    ratios = []
    for file, text in read_texts().items():
        review = review_spec(read_spec_text(text, file))
        assert review.spec is not None
        assert review.spec.recipe is not None
        assert review.spec.recipe.seconds is not None
        assert review.iteration_seconds is not None
        ratios.append(review.iteration_seconds * review.spec.iterations / review.spec.recipe.seconds)
        # Of the recipe itself, what its file says is told.
        said = estimate(review)
        assert said is not None
        assert said.seconds == pytest.approx(review.spec.recipe.seconds)
    assert sum(0.5 <= ratio <= 2 for ratio in ratios) > 0.85 * len(ratios)


def test_times_are_told_roughly() -> None:
    told = {
        0.2: "1 s",
        59.4: "59 s",
        59.8: "1 min",
        420: "7 min",
        5300: "88 min",
        5400: "1.5 h",
        3 * 86_400: "3 days",
    }
    assert {seconds: say_time(seconds) for seconds in told} == told
