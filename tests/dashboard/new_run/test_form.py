"""Starting runs from forms: what was typed is what runs, one form makes one run, and a refusal loses nothing."""

import html
import io
import re
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from PIL import Image

from dashboard.new_run.recipes import (
    BANDS,
    KINDS,
    UNKNOWN,
    name_band,
    read_looks,
    read_recipes,
    read_sheet,
)
from ganlib.spec.sections.execution import read_seconds
from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker

Form = dict[str, str]


def read_form(client: TestClient, path: str, status: int = 200) -> Form:
    """Return what a browser would send of the page's form: its inputs, chosen options and YAML."""
    return parse_form(read_raw(client, path, status))


def read_raw(client: TestClient, path: str, status: int = 200) -> str:
    response = client.get(path, headers={"accept": "text/html"})
    assert response.status_code == status
    return response.text


def parse_form(page: str) -> Form:
    (inside,) = re.findall(r'<form class="run-form".*?</form>', page, re.S)
    form = {
        name: html.unescape(value)
        for tag in re.findall(r"<input[^>]*>", inside)
        for name, value in [(attribute(tag, "name"), attribute(tag, "value"))]
    }
    for name, body in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', inside, re.S):
        (form[name],) = re.findall(r'value="([^"]*)" selected', body)
    (text,) = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", inside, re.S)
    return form | {"yaml": html.unescape(text)}


def attribute(tag: str, name: str) -> str:
    return re.findall(rf'\b{name}="([^"]*)"', tag)[0]


def read_spec(client: TestClient, location: str) -> dict[str, Any]:
    spec: dict[str, Any] = client.get(location.replace("/runs/", "/jobs/")).json()["spec"]
    return spec


def test_page_of_recipes_names_paper_section_expectation_and_cost_of_each(client: TestClient) -> None:
    page = read(client, "/new")
    cards = read_cards(page)
    for name, spec in read_recipes().items():
        card, facts = html.unescape(cards[name]), spec["recipe"]
        for part in ("paper", "section", "expected"):
            assert facts[part] in words(card), (name, part)
        # What a page of cards would repeat stands above them once.
        assert f'title="{facts["cost"]}"' in card
        assert re.search(r'class="takes"[^>]*>\d+(\.\d)? (s|min|h)\b', card), name
    assert words(page).count("one idle CPU core") == 1
    assert "section section" not in words(page)


def read_cards(page: str) -> dict[str, str]:
    """Return the card of each recipe that the page shows."""
    cards = re.findall(r'<li class="recipe">.*?</li>', page, re.S)
    return {re.findall(r'href="/new\?recipe=([^"]+)"', card)[0]: card for card in cards}


def test_a_recipe_that_was_run_here_shows_what_it_gave(client: TestClient) -> None:
    page = read(client, "/new")
    cards = read_cards(page)
    (sheet,) = set(re.findall(r'<image href="([^"]+)"', page))
    picture = client.get(sheet)
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(picture.content)) as image:
        assert read_sheet() == image.size
    assert len(read_looks()) > 20
    # No recipe was renamed without its picture.
    assert read_looks().keys() <= cards.keys()
    for name, look in read_looks().items():
        assert f'viewBox="{look.x} {look.y} {look.width} {look.height}"' in cards[name]
        assert f'aria-label="Samples of {name}"' in cards[name]
    assert "viewBox" not in cards["dcgan-64"]


def test_recipes_are_narrowed_to_one_data_set(client: TestClient) -> None:
    everything, digits = read(client, "/new"), read(client, "/new?data=mnist")
    assert 'href="/new?data=mnist"' in everything
    for page, has_colours in ((everything, True), (digits, False), (read(client, "/new?data=<b>"), True)):
        assert "lsgan-mnist" in read_cards(page)
        assert ("winkler-cifar" in read_cards(page)) == has_colours
        assert "<b>" not in page


@pytest.mark.parametrize(
    ("kind", "within", "without"),
    [
        ("quick", "fault-mode-collapse", "first-light"),
        ("conditional", "acgan-mnist", "dcgan-32"),
        ("labels", "odena-mnist-25", "conditional-mnist"),
        ("collapse", "winkler-one-layer", "winkler-one-layer-relu"),
        ("fault", "fault-divergence", "gaussians-ring"),
    ],
)
def test_recipes_are_narrowed_to_what_they_show(client: TestClient, kind: str, within: str, without: str) -> None:
    assert kind in KINDS
    page = read(client, f"/new?kind={kind}")
    cards = read_cards(page)
    assert within in cards
    assert without not in cards
    # Filters add up, and nothing is folded away from who asked for it.
    assert f'href="/new?data=mnist&amp;kind={kind}"' in page
    assert '<details class="recipe-group"' not in page


def test_recipes_stand_by_what_they_cost_or_by_their_papers(client: TestClient) -> None:
    page = read(client, "/new?data=mnist")
    names = list(read_cards(page))
    seconds = [read_seconds(read_recipes()[name]["recipe"]["cost"]) for name in names]
    assert len(names) > 30
    assert None not in seconds
    assert seconds == sorted(seconds, key=float)
    headings = re.findall(r"<h2>([^<]+)<", page)
    assert headings == [name for _, name in BANDS if name in headings], "the quickest group comes first"
    assert 'href="/new?data=mnist&amp;order=paper"' in page
    papers = re.findall(r"<h2>([^<]+)<", read(client, "/new?data=mnist&order=paper"))
    assert "Arjovsky et al. (2017), Wasserstein GAN" in papers
    assert papers == sorted(papers)
    assert "Up to a minute" in words(read(client, "/new?order=<b>"))


def test_every_recipe_says_its_cost_so_that_it_can_be_sorted() -> None:
    for name, spec in read_recipes().items():
        assert read_seconds(spec["recipe"]["cost"]) is not None, name
    costs = ("about 1.5 min for 2,000 iterations", "25 s", "2 h; meant for a GPU", "x")
    assert [read_seconds(text) for text in costs] == [90.0, 25.0, 7200.0, None]
    assert [name_band(seconds) for seconds in (60.0, 60.1, 1e9, None)] == [
        BANDS[0][1], BANDS[1][1], BANDS[-1][1], UNKNOWN
    ]  # fmt: skip


def test_every_recipe_can_be_queued_as_it_is(client: TestClient) -> None:
    for recipe, spec in read_recipes().items():
        answer = client.post("/new", data=read_form(client, f"/new?recipe={recipe}"))
        assert (answer.status_code, answer.headers["location"][:6]) == (303, "/runs/"), words(answer.text)
        assert read_spec(client, answer.headers["location"])["recipe"] == spec["recipe"]


def test_fields_that_were_changed_win_and_others_follow_the_yaml(client: TestClient) -> None:
    form = read_form(client, "/new?recipe=odena-mnist-100")
    assert (form["dataset.labels"], form["optimisers.generator.learning_rate"]) == ("100", "0.001")
    form |= {"name": "true", "dataset.labels": "", "optimisers.generator.learning_rate": "1e-4", "seed": " 7 "}
    form["yaml"] = form["yaml"].replace("batch_size: 64", "batch_size: 32").replace("\n", "\r\n")
    answer = client.post("/new", data=form)
    assert answer.status_code == 303, words(answer.text)
    spec = read_spec(client, answer.headers["location"])
    assert (spec["name"], spec["seed"], spec["batch_size"]) == ("true", 7, 32)
    assert (spec["dataset"]["labels"], spec["optimisers"]["generator"]["learning_rate"]) == (None, 1e-4)
    assert spec["optimisers"]["discriminator"]["learning_rate"] == 0.001


def test_two_clicks_make_one_run_and_a_change_makes_another(client: TestClient) -> None:
    form = read_form(client, "/new?recipe=first-light")
    first, second = (client.post("/new", data=form).headers["location"] for _ in range(2))
    assert first == second
    changed = client.post("/new", data=form | {"seed": "5"}).headers["location"]
    assert changed != first
    assert client.post("/new", data=read_form(client, "/new?recipe=first-light")).headers["location"] != first
    assert len(client.get("/jobs").json()["items"]) == 3


def test_refused_form_says_what_is_wrong_beside_each_field_and_keeps_what_was_typed(client: TestClient) -> None:
    form = read_form(client, "/new?recipe=first-light")
    typed = {
        "name": "not/a name", "iterations": "many", "losses.discriminator": "hinge",
        "yaml": form["yaml"] + "colour: <b>blue</b>\n",
    }  # fmt: skip
    answer = client.post("/new", data=form | typed)
    assert answer.status_code == 422
    again = parse_form(answer.text)
    assert again == form | typed
    page = re.sub(r"\s+", " ", answer.text)
    assert 'role="alert"' in page
    assert '<p id="field-iterations-problem" class="problem">Must be an integer</p>' in page
    assert 'id="field-iterations" name="iterations" aria-invalid="true"' in page
    assert 'aria-describedby="field-iterations-problem"' in page
    assert '<a href="#field-name"><code>name</code></a>' in page
    assert '<a href="#field-yaml"><code>colour</code></a>' in page
    assert "there is no such field" in page
    assert "<b>blue" not in page
    fixed = client.post("/new", data=again | {"name": "a name", "iterations": "10", "yaml": form["yaml"]})
    # What belongs together is said at the field that has to follow.
    assert 'id="field-losses-generator-problem"' in fixed.text
    other = client.post("/new", data=parse_form(fixed.text) | {"losses.generator": "least_squares"})
    assert "or choose least squares for the discriminator too" in other.text
    assert ">least_squares does not go with" in other.text
    good = client.post("/new", data=parse_form(fixed.text) | {"losses.generator": "hinge"})
    assert read_spec(client, good.headers["location"])["losses"]["generator"] == "hinge"


def test_refused_form_marks_the_wrong_value_and_still_says_what_it_began_with(client: TestClient) -> None:
    path = "/new?recipe=first-light"
    form = read_form(client, path)
    yaml_text = form["yaml"].replace("batch_size: 32", "batch_size: -3")
    answer = client.post(path, data=form | {"yaml": yaml_text, "seed": "7"})
    assert answer.status_code == 422
    again = parse_form(answer.text)
    # The YAML's value is in the field that is marked, and what was typed in the form stays there.
    assert (again["batch_size"], again["seed"], again["yaml"]) == ("-3", "7", yaml_text)
    assert "New run from first-light" in words(answer.text)
    assert read_recipes()["first-light"]["recipe"]["expected"] in words(answer.text)
    assert f'action="{path}"' in answer.text
    fixed = client.post(path, data=again | {"batch_size": "16"})
    assert [read_spec(client, fixed.headers["location"])[field] for field in ("batch_size", "seed")] == [16, 7]
    # Without a recipe of that name it is a form like any other.
    assert 'action="/new"' in client.post("/new?recipe=<b>", data={}).text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("just words", "a mapping of fields"),
        ("name: [unclosed", "line 1, column 7: this is not YAML: the list that begins here is not closed"),
        ("name: a\nname: b", "is given twice"),
        ("a: &a [x, x]\nb: [*a, *c]", "line 2, column 9: nothing above is named"),
        ("!!python/object/apply:os.system ['true']", "the tag !!python/object/apply:os.system is not read"),
        ("[" * 5000 + "]" * 5000, "nested too deeply; at most 32 levels"),
        ("name: x\n" + "# filled up\n" * 10_000, "at most 65,536 characters"),
    ],
)
def test_yaml_that_is_no_spec_is_refused_and_kept(client: TestClient, text: str, said: str) -> None:
    form = read_form(client, "/new?recipe=first-light")
    answer = client.post("/new", data=form | {"yaml": text})
    assert answer.status_code == 422
    assert said in words(answer.text)
    assert parse_form(answer.text)["yaml"] == text
    assert client.get("/jobs").json()["items"] == []


def test_fields_that_are_no_yaml_or_lead_nowhere_are_refused(client: TestClient) -> None:
    form = read_form(client, "/new?recipe=first-light")
    answer = client.post("/new", data=form | {"iterations": "{a: ["})
    assert "This value cannot be set in the spec" in words(answer.text)
    answer = client.post("/new", data=form | {"optimisers.generator.learning_rate": "1", "yaml": "optimisers: 3"})
    assert answer.status_code == 422


def test_run_again_begins_with_the_runs_own_spec(client: TestClient, worker: FakeWorker) -> None:
    job = worker.submit(seed=3, description="Ünïcode: { } # not a comment")
    assert f'href="/runs/{job}/again"' in read(client, f"/runs/{job}")
    form = read_form(client, f"/runs/{job}/again")
    assert yaml.safe_load(form["yaml"])["description"] == "Ünïcode: { } # not a comment"
    same = read_spec(client, client.post(f"/runs/{job}/again", data=form).headers["location"])
    assert same == read_spec(client, f"/runs/{job}")
    other = client.post(f"/runs/{job}/again", data=form | {"iterations": "2000"}).headers["location"]
    assert read_spec(client, other) == same | {"iterations": 2000}
    refused = client.post(f"/runs/{job}/again", data=form | {"iterations": "-1"})
    assert f'action="/runs/{job}/again"' in refused.text


def test_retry_goes_on_from_the_newest_checkpoint_once_however_often_it_is_clicked(
    client: TestClient, worker: FakeWorker
) -> None:
    job = worker.submit()
    worker.claim()
    assert f"/runs/{job}/retry" not in read(client, f"/runs/{job}")
    worker.train(200)
    worker.save_checkpoint(200)
    worker.finish("failed", "training_diverged", "NaN.")
    page = read(client, f"/runs/{job}")
    assert "Retry from iteration 200" in words(page)
    (key,) = re.findall(rf'action="/runs/{job}/retry"> <input type="hidden" name="key" value="([^"]+)"', page)
    first, second = (client.post(f"/runs/{job}/retry", data={"key": key}) for _ in range(2))
    assert first.headers["location"] == second.headers["location"] != f"/runs/{job}"
    made = client.get(first.headers["location"].replace("/runs/", "/jobs/")).json()
    assert (made["retry_of"], made["iteration"], made["state"]) == (job, 200, "queued")
    assert len(client.get("/jobs").json()["items"]) == 2
    # One that waits cannot be tried again: its page is shown.
    waiting = first.headers["location"]
    assert client.post(f"{waiting}/retry", data={"key": key}).headers["location"] == waiting


def test_pages_of_what_is_not_there_say_so(client: TestClient) -> None:
    assert "No recipe has this name" in words(read(client, "/new?recipe=nothing", 404))
    read(client, "/runs/nothing/again", 404)
    assert client.post("/runs/nothing/again", data={}).status_code == 404
    assert client.post("/runs/nothing/retry", data={}).status_code == 404
    # A form without anything is a form with everything missing.
    assert client.post("/new", data={}).status_code == 422


def test_form_shows_both_networks_and_the_time_also_without_scripts(
    client: TestClient, worker: FakeWorker
) -> None:
    page = read(client, "/new?recipe=first-light")
    said = words(page)
    assert "Essentials" in said
    assert (
        said.index("Essentials") < said.index("Players") < said.index("Recording") < said.index("Queue this run")
    )
    assert "about 4 min on one CPU core" in said
    assert "transposed_conv (size 64, kernel 4, stride 2, padding 1) 64×14×14 131,136" in said
    assert "6,609,473 weights" in said
    # A refused form marks the layer that does not fit, of the YAML with the fields that were changed.
    form = read_form(client, "/new?recipe=first-light")
    text = form["yaml"].replace("{preset: winkler_mnist_discriminator}", "{layers: [{layer: dense, size: 3}]}")
    refused = client.post("/new?recipe=first-light", data=form | {"yaml": text, "iterations": "6"})
    assert '<p class="problem">' not in page
    assert "output after layer 0 (dense) is 3, but must be 1 (one logit)" in words(refused.text)
    # What an address changed names the run; a name that it gives itself stays.
    job = worker.submit(name="mine")
    path = f"/runs/{job}/again?set=optimisers.generator.learning_rate=0.5"
    assert read_form(client, path)["name"] == "mine, generator learning rate 0.5"
    assert read_form(client, f"{path}&set=name=other")["name"] == "other"
    assert read_form(client, f"/runs/{job}/again")["name"] == "mine"
