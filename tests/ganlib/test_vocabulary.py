"""The vocabulary: what is logged is in it, nothing else names a metric, and the documentation says the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganlib.events import METRIC_NAME_PATTERN
from ganlib.vocabulary import (
    CLASS_SHARES,
    CLASSIFIER_SCORE,
    GENERATOR_LOSS,
    GROUP_LABELS,
    LOSS,
    METRICS,
    TRANSFER_ACCURACY_AFTER,
    find_metric,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
PACKAGES = ("api", "dashboard", "ganlib", "ganvas", "worker")
_HISTOGRAMS = r"gradients/(generator|discriminator)|neighbours/l1"


def names_in(text: str) -> list[str]:
    """Return the metrics and histograms that a text names."""
    known = "|".join(re.escape(metric.name.replace("{number}", "")) for metric in METRICS)
    return [
        match[0] for match in re.finditer(rf"(?<![\w/.])({known}|{_HISTOGRAMS})(?![\w/]*\.(py|js|html|png))", text)
    ]


def strings_of(source: str) -> Iterator[str]:
    """Yield the strings of a module, without its docstrings."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(n.body[0].value) for n in ast.walk(tree) if isinstance(n, documented) and ast.get_docstring(n)
    }  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_every_metric_has_a_name_that_can_be_logged_a_label_and_a_sentence() -> None:
    assert len({metric.name for metric in METRICS}) == len({metric.label for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(METRIC_NAME_PATTERN, metric.name.replace("{number}", "7"))
        assert metric.meaning.endswith(".")
        assert metric.meaning.count(".") == len(re.findall(r"\.\d", metric.meaning)) + 1
        assert metric.group in GROUP_LABELS
        assert not (metric.group == LOSS and metric.better)


def test_a_name_finds_its_metric_or_the_member_of_a_family() -> None:
    assert find_metric("loss/generator") is GENERATOR_LOSS
    share = find_metric("eval/class_shares_12")
    assert (share.name, share.label, share.better) == ("eval/class_shares_12", "Share of class 12", "")
    assert share == CLASS_SHARES.member(12)
    after = find_metric("transfer/accuracy_after_250")
    assert (after.label, after.better) == ("Transfer accuracy after 250 steps", "higher")
    assert TRANSFER_ACCURACY_AFTER.matches(after.name)
    assert not TRANSFER_ACCURACY_AFTER.matches("transfer/scratch_accuracy_after_250")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("eval/my_score", "My score"),
        ("eval/classifier_score2", "Classifier score2"),
        ("speed/images.per_second", "Speed: images per second"),
        ("loss/generator_extra", "Loss: generator extra"),
        ("eval/_", "_"),
        ("loss_D", "loss_D"),
        ("val acc", "val acc"),
        ("Loss/D(x)", "Loss/D(x)"),
        ("train/loss_G", "train/loss_G"),
    ],
)
def test_an_unknown_name_has_a_label_made_of_it_and_no_direction(name: str, label: str) -> None:
    metric = find_metric(name)
    assert (metric.name, metric.label, metric.better, metric.player, metric.asked_as) == (name, label, "", "", "")


def test_the_sentence_says_direction_real_images_and_the_raw_name() -> None:
    assert CLASSIFIER_SCORE.sentence.endswith(
        "Higher is better. Real images get 9.76 on mnist. Logged as eval/classifier_score."
    )
    assert "better" not in GENERATOR_LOSS.sentence.replace("gets better", "")


def test_no_other_module_names_a_metric() -> None:
    named = {
        f"{path.relative_to(ROOT)}: {name}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.parent != ROOT / "ganlib/vocabulary"
        for text in strings_of(path.read_text(encoding="utf-8"))
        for name in names_in(text)
    }
    assert named == set()


def test_no_script_or_template_names_a_metric() -> None:
    files = [path for kind in ("js", "html") for path in (ROOT / "dashboard").rglob(f"*.{kind}")]
    assert len(files) > 50
    named = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        if "vendor" not in path.parts
        for name in names_in(path.read_text(encoding="utf-8"))
    }
    assert named == set()


def test_a_name_in_a_string_would_be_found() -> None:
    """The control of both."""
    source = '"""Reads loss/generator."""\nNAME = "loss/generator"\nOTHER = f"{NAME} eval/recall<0.5"\n'
    assert [name for text in strings_of(source) for name in names_in(text)] == ["loss/generator", "eval/recall"]
    assert names_in('latest["speed/iterations_per_second"]?.value') == ["speed/iterations_per_second"]
    assert names_in("eval/class_shares_3 neighbours/l1") == ["eval/class_shares_", "neighbours/l1"]


def test_the_pages_table_is_the_vocabulary() -> None:
    rows = re.findall(r"^\| `(\S+/\S+)` \| (.*) \| (.*) \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (m.name, m.label, m.unit or "–", m.better or "–", m.meaning.replace("|", "∣")) for m in METRICS
    ]


def test_what_real_images_get_is_what_the_page_measured() -> None:
    section = PAGE.split("## Metrics of samples\n")[1].split("\n- ")[0]
    rows = re.findall(r"^\| `(\w+)`[^|]* \| [^|]* \| ([^|]*) \| [^|]* \| [^|]* \|$", section, re.MULTILINE)
    assert {metric.asked_as: metric.real["mnist"] for metric in METRICS if metric.real} == {
        name.removesuffix("_0"): real for name, real in rows
    }
