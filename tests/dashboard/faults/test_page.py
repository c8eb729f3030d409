"""The page of faults: each rule in words, its advice, the recipe that shows it, and a run of that."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dashboard.faults import routes
from dashboard.faults.view import name_recipe
from dashboard.new_run.recipes import FIRST, read_recipes
from ganlib.evaluation.diagnosis.advice import Advice
from ganlib.evaluation.diagnosis.rule import Rule
from ganlib.evaluation.diagnosis.rules import RULES
from tests.dashboard.web.test_pages import SCRIPT, read, words
from tests.support.fake_worker import FakeWorker

ADVICE = Advice("Wait", f"It passes {SCRIPT}", "Anyone (2020), section 1", {"iterations": 2})


def add_rule(monkeypatch: pytest.MonkeyPatch, name: str, window: int = 2) -> None:
    rule = Rule(
        name,
        "Colours fade",
        "warning",
        "Samples lose their colours.",
        "Contrast below 0.1.",
        window,
        _look,
        (_advise,),
    )
    monkeypatch.setitem(RULES, name, rule)


def _look(history: Any) -> None:
    return None


def _advise(spec: Any) -> Advice:
    return ADVICE


def fault(page: str, name: str) -> str:
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def test_every_rule_of_this_version_is_explained(client: TestClient) -> None:
    page = read(client, "/faults")
    assert len(RULES) > 0
    for name, rule in RULES.items():
        shown = fault(page, name)
        for part in (rule.title, rule.meaning, rule.threshold[1:]):
            assert part in words(shown).replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">"), (
                name,
                part,
            )
        assert f'href="/?q=finding%3A{name}"' in shown
    # Each link to the runs leads to a list that the search understands.
    assert "Search runs" in words(read(client, f"/?q=finding:{next(iter(RULES))}"))


def test_a_rule_without_a_recipe_has_its_advice_and_no_button(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_rule(monkeypatch, "colours_fade")
    page = read(client, "/faults")
    shown = fault(page, "colours_fade")
    assert "Colours fade Warning Samples lose their colours. Contrast below 0.1." in words(shown)
    assert "2 measurements in a row must show it, and as many no longer." in words(shown)
    assert "Wait It passes" in words(shown)
    assert ("<script>alert" in page, "See it happen" in shown, "<img" in shown) == (False, False, False)
    assert 'aria-current="page">Faults<' in page


def test_a_recipe_that_shows_the_fault_has_a_button_and_its_newest_run_a_picture(
    client: TestClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_rule(monkeypatch, "colours_fade", window=1)
    name = name_recipe("colours_fade")
    assert name == "fault-colours-fade"
    monkeypatch.setattr(routes, "read_recipes", lambda: read_recipes() | {name: read_recipes()[FIRST]})
    worker.submit(name=name)
    worker.claim()
    worker.save_grid(100)
    newer = worker.submit(name=name)
    worker.submit(name=f"{name}-other")
    worker.finish("succeeded")
    worker.claim()
    grid = worker.save_grid(300)
    waiting = worker.submit(name=name)
    shown = fault(read(client, "/faults"), "colours_fade")
    assert "in a row" not in words(shown)
    assert f'href="/new?recipe={name}"' in shown
    # The newest that has drawn something.
    assert f'href="/runs/{newer}"' in shown
    assert waiting not in shown
    assert re.findall(r'<img class="grid" src="([^"]*)"', shown) == [f"/artifacts/{grid}"]
    assert "Not examined yet" in words(shown)
