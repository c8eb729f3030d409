"""Rules over signals: each finds its fault, keeps silent without it, and has advice that is a valid spec."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ganlib.evaluation.diagnosis.advice import advise
from ganlib.evaluation.diagnosis.casebook import Casebook
from ganlib.evaluation.diagnosis.history import Point
from ganlib.evaluation.diagnosis.rules import RULES
from ganlib.evaluation.diagnosis.verdict import describe, judge
from ganlib.events import FindingReported
from ganlib.spec.job import changed_fields
from ganlib.spec.parse import load_spec, parse_spec
from ganlib.vocabulary import (
    CHECKERBOARD,
    CONTRAST,
    COPIES,
    DISCRIMINATOR_ACCURACY,
    DISCRIMINATOR_CHANGE,
    DISCRIMINATOR_LOSS,
    DISCRIMINATOR_SATURATED,
    DIVERSITY,
    GENERATED_LOGITS,
    GENERATOR_CHANGE,
    GENERATOR_GRADIENT,
    GENERATOR_LOSS,
    GENERATOR_WEIGHTS,
    HELD_OUT_LOGITS,
    KIND_SHARE,
    KINDS,
    LABEL_AGREEMENT_SIGNAL,
    LABEL_EFFECT,
    MOVEMENT,
    NEAREST_TRAINING,
    REAL_DISTANCE,
    TRAINING_LOGITS,
    Metric,
)

Signals = Mapping[Metric, float]
HEALTHY: dict[Metric, float] = {
    KINDS: 60, KIND_SHARE: 0.95, DIVERSITY: 0.9, CONTRAST: 1.0, REAL_DISTANCE: 0.03, MOVEMENT: 0.4,
    CHECKERBOARD: 1.2, COPIES: 0.0, NEAREST_TRAINING: 1.1, LABEL_EFFECT: 0.8, LABEL_AGREEMENT_SIGNAL: 0.95,
    DISCRIMINATOR_ACCURACY: 0.8,
    GENERATOR_GRADIENT: 1.0, GENERATOR_WEIGHTS: 20.0, GENERATOR_CHANGE: 5e-3, TRAINING_LOGITS: 1.0,
    HELD_OUT_LOGITS: 0.95, GENERATED_LOGITS: -1.0, DISCRIMINATOR_LOSS: 1.1, DISCRIMINATOR_SATURATED.member(2): 0.2,
}  # fmt: skip
ONE_KIND: dict[Metric, float] = {KINDS: 1, KIND_SHARE: 0.016, DIVERSITY: 0.02}
FAULTS: dict[str, dict[Metric, float]] = {
    "mode_collapse": ONE_KIND | {MOVEMENT: 0.2},
    "partial_collapse": {KINDS: 8, KIND_SHARE: 0.13, DIVERSITY: 0.5},
    "oscillating_modes": {KINDS: 7, KIND_SHARE: 0.11, DIVERSITY: 0.5, MOVEMENT: 1.1},
    "saturated_units": {DISCRIMINATOR_SATURATED.member(2): 0.97},
    "discriminator_overpowers": {DISCRIMINATOR_ACCURACY: 1.0, REAL_DISTANCE: 0.3},
    "generator_starved": {DISCRIMINATOR_ACCURACY: 0.97, REAL_DISTANCE: 0.3, GENERATOR_GRADIENT: 1e-5},
    "no_progress": {MOVEMENT: 1e-4, GENERATOR_CHANGE: 0.0, REAL_DISTANCE: 0.2},
    "divergence": {DISCRIMINATOR_LOSS: 6.5e6},
    "discriminator_overfits": {HELD_OUT_LOGITS: -0.2},
    "memorisation": {COPIES: 0.8, NEAREST_TRAINING: 0.3},
    "label_ignored": {LABEL_EFFECT: 0.1},
    "checkerboard": {CHECKERBOARD: 12.0},
}


def point(iteration: int, *changes: Signals) -> Point:
    values: dict[Metric, float] = dict(HEALTHY)
    for change in changes:
        values |= change
    return Point(iteration, {metric.name: value for metric, value in values.items()})


def examine(casebook: Casebook, start: int, count: int, *changes: Signals) -> list[FindingReported]:
    found: list[FindingReported] = []
    for index in range(count):
        found += casebook.add(point(start + 100 * index, *changes))
    return found


def test_every_rule_has_a_fault_here() -> None:
    assert FAULTS.keys() == RULES.keys()
    for rule in RULES.values():
        assert rule.meaning.endswith(".")
        assert rule.threshold
        assert rule.remedies


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_its_fault_where_it_begins_and_ends_it_where_it_ends(name: str) -> None:
    casebook = Casebook(10_000, {})
    assert examine(casebook, 100, 10) == []
    found = [finding for finding in examine(casebook, 1100, 10, FAULTS[name]) if finding.rule == name]
    assert len({finding.since for finding in found}) == 1
    assert 1100 <= found[0].since <= 1100 + 100 * 7
    assert found[0].severity == RULES[name].severity
    assert found[0].evidence
    ended = [finding for finding in examine(casebook, 2100, 10) if finding.rule == name]
    assert {finding.since for finding in ended} == {found[0].since}
    assert ended[-1].ended is not None
    assert ended[-1].ended >= 2100
    assert casebook.lasting() == {}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_nothing_of_a_healthy_run_and_of_one_without_signals(name: str) -> None:
    casebook = Casebook(10_000, {}, {name: RULES[name]})
    assert examine(casebook, 100, 30) == []
    assert [finding for index in range(10) for finding in casebook.add(Point(100 * index, {}))] == []


def test_samples_that_are_alike_at_first_are_not_learnt_yet_and_later_collapsed() -> None:
    assert examine(Casebook(10_000, {}), 100, 4, ONE_KIND) == []
    late = examine(Casebook(10_000, {}), 500, 4, ONE_KIND, {MOVEMENT: 0.1})
    assert [finding.rule for finding in late] == ["mode_collapse"]
    # Sooner, where there were many kinds before.
    fallen = Casebook(10_000, {})
    examine(fallen, 50, 1)
    assert {finding.rule for finding in examine(fallen, 150, 3, ONE_KIND, {MOVEMENT: 0.1})} == {"mode_collapse"}


def test_kinds_that_become_more_are_no_partial_collapse() -> None:
    casebook = Casebook(10_000, {})
    shares = [0.02, 0.04, 0.07, 0.12, 0.18, 0.25, 0.4]
    found = [
        finding
        for index, share in enumerate(shares)
        for finding in casebook.add(point(600 + 100 * index, {KINDS: 64 * share + 2, KIND_SHARE: share}))
    ]
    assert found == []


def test_a_single_measurement_is_no_finding_where_the_rule_has_a_window() -> None:
    casebook = Casebook(10_000, {})
    examine(casebook, 100, 8)
    assert examine(casebook, 900, 1, ONE_KIND) == []
    assert examine(casebook, 1000, 5) == []


def test_what_a_casebook_remembers_makes_the_same_findings() -> None:
    one, other = Casebook(10_000, {}), Casebook(10_000, {})
    examine(one, 100, 12, FAULTS["memorisation"])
    other.restore(one.state())
    assert examine(one, 1300, 6) == examine(other, 1300, 6) != []


def drift(casebook: Casebook, iterations: range, *changes: Signals) -> set[str]:
    return {found.rule for iteration in iterations for found in casebook.add(point(iteration, *changes))}


def test_networks_that_learn_slowly_draw_few_kinds_that_drift_and_are_not_called_collapsed_yet() -> None:
    # Of a healthy run: one kind, and later three, that drift while nothing else is wrong; it had never been many.
    one = {KINDS: 1, KIND_SHARE: 0.016, DIVERSITY: 0.16, MOVEMENT: 0.15, REAL_DISTANCE: 0.2}
    three = {KINDS: 3, KIND_SHARE: 0.05, DIVERSITY: 0.32, MOVEMENT: 0.15, REAL_DISTANCE: 0.12}
    slow = Casebook(10_000, {})
    assert drift(slow, range(50, 1000, 50), one) == set()
    assert drift(slow, range(1000, 2000, 50), three) == set()
    # Controls: what stays so, what leaps from kind to kind, what had many kinds, and what is equal.
    assert drift(slow, range(2000, 2300, 50), three) == {"partial_collapse"}
    assert drift(Casebook(10_000, {}), range(50, 1000, 50), one, {MOVEMENT: 0.6}) >= {"mode_collapse"}
    assert drift(Casebook(10_000, {}), range(50, 1000, 50), three, {MOVEMENT: 0.6}) == {"partial_collapse"}
    fallen = Casebook(10_000, {})
    drift(fallen, range(50, 500, 50))
    assert drift(fallen, range(500, 1000, 50), three) == {"partial_collapse"}
    assert drift(Casebook(10_000, {}), range(50, 450, 50), one, {DIVERSITY: 0.04}) == {"mode_collapse"}


def test_kinds_that_change_between_one_and_five_are_few() -> None:
    # Of a generator with six updates to one of a discriminator of two units.
    casebook = Casebook(700, {})
    for index, kinds in enumerate([1, 1, 3, 1, 4, 2, 5, 1, 4, 2, 6, 1, 4, 2]):
        few = {KINDS: kinds, KIND_SHARE: kinds / 63, DIVERSITY: 0.06 * kinds + 0.09, MOVEMENT: 0.75}
        casebook.add(point(50 + 50 * index, few))
    assert casebook.lasting().keys() == {"partial_collapse"}


def test_kinds_that_leap_are_named_early_and_are_over_once_they_become_more() -> None:
    # Of a run of 1,200 iterations that ended well: kinds beside real images, every 50 iterations.
    shares = [0.45, 0.13, 0.05, 0.13, 0.15, 0.08, 0.13, 0.03, 0.11, 0.1, 0.1, 0.21, 0.13, 0.21, 0.23, 0.37]
    shares += [0.48] * 8
    moves = [0.0, 0.72, 0.7, 0.79, 1.03, 1.08, 1.09, 1.25, 1.08, 1.24, 1.27, 1.13, 0.94, 0.95] + [0.9] * 10
    casebook = Casebook(1200, {}, {"oscillating_modes": RULES["oscillating_modes"]})
    findings: list[FindingReported] = []
    for index, (share, movement) in enumerate(zip(shares, moves, strict=True)):
        values: Signals = {DIVERSITY: 0.45, KINDS: round(62 * share), KIND_SHARE: share, MOVEMENT: movement}
        findings += casebook.add(point(50 + 50 * index, values))
    assert [(each.iteration, each.ended) for each in (findings[0], findings[-1])] == [(350, None), (600, 600)]
    assert judge(findings[-1:], 1200).tone == "good"


def test_kinds_that_drift_at_first_do_not_oscillate() -> None:
    casebook = Casebook(1200, {}, {"oscillating_modes": RULES["oscillating_modes"]})
    drifting = {DIVERSITY: 0.45, KINDS: 8, KIND_SHARE: 0.13, MOVEMENT: 0.7}
    for iteration in range(50, 500, 50):
        assert casebook.add(point(iteration, drifting)) == []


@pytest.mark.parametrize(
    ("changes", "facts", "is_found"),
    [
        ({}, {"is_own": True}, True),
        ({}, {}, False),
        ({}, {"is_own": True, "is_critic": True}, False),
        ({KINDS: 30}, {"is_own": True}, False),
        ({DISCRIMINATOR_LOSS: 0.3}, {"is_own": True}, False),
        ({GENERATOR_LOSS: 1.0}, {"is_own": True}, False),
    ],
)
def test_of_a_loop_of_ones_own_losses_say_that_the_discriminator_overpowers(
    changes: dict[Metric, float], facts: dict[str, Any], is_found: bool
) -> None:
    casebook = Casebook(2000, facts, {"discriminator_overpowers": RULES["discriminator_overpowers"]})
    signals = {KINDS: 3, DIVERSITY: 0.3, MOVEMENT: 0.02, DISCRIMINATOR_LOSS: 0.0003, GENERATOR_LOSS: 9.3} | changes
    found = [each for at in range(10, 700, 10) for each in casebook.add(point(at, signals))]
    assert [each.iteration for each in found[:1]] == ([500] if is_found else [])


def test_players_that_stand_still_make_no_progress_and_are_not_called_anything_else() -> None:
    # Of runs with rates of 1e-8: the discriminator is right by chance, or all samples are alike.
    still = {MOVEMENT: 0.09, GENERATOR_CHANGE: 6e-7, DISCRIMINATOR_CHANGE: 2e-6, REAL_DISTANCE: 0.66}
    right = {DISCRIMINATOR_ACCURACY: 1.0, TRAINING_LOGITS: 0.354, HELD_OUT_LOGITS: 0.353, GENERATED_LOGITS: 0.06}
    alike = ONE_KIND | {TRAINING_LOGITS: 0.0, HELD_OUT_LOGITS: 0.0, GENERATED_LOGITS: 0.0}
    learns = {DISCRIMINATOR_CHANGE: 0.01, GENERATOR_CHANGE: 0.005}
    faults = {"discriminator_overpowers": right, "mode_collapse": alike}
    for otherwise, values in faults.items():
        assert drift(Casebook(800, {}), range(50, 800, 50), still, values) == {"no_progress"}
        assert otherwise in drift(Casebook(800, {}), range(50, 800, 50), still, values, learns)


def test_logits_that_differ_by_next_to_nothing_do_not_show_that_a_discriminator_overfits() -> None:
    # Of a run that stands still, and of a healthy one whose generator comes near to real images.
    rule = {"discriminator_overfits": RULES["discriminator_overfits"]}
    still = {TRAINING_LOGITS: -0.021, HELD_OUT_LOGITS: -0.027, GENERATED_LOGITS: -0.0275}
    healthy = {TRAINING_LOGITS: 0.1, HELD_OUT_LOGITS: 0.045, GENERATED_LOGITS: 0.0}
    overfits = {TRAINING_LOGITS: 0.5, HELD_OUT_LOGITS: 0.225, GENERATED_LOGITS: 0.0}
    for logits, expected in ((still, set()), (healthy, set()), (overfits, rule.keys())):
        assert drift(Casebook(2000, {}, rule), range(50, 800, 50), logits) == expected


def test_one_jump_of_dead_units_is_no_progress_still() -> None:
    casebook = Casebook(2000, {})
    jump = FAULTS["no_progress"] | {MOVEMENT: 0.017, GENERATOR_CHANGE: 1e-4}
    drift(casebook, range(50, 550, 50), FAULTS["no_progress"])
    since = casebook.lasting()["no_progress"]
    drift(casebook, range(550, 600, 50), jump)
    drift(casebook, range(600, 700, 50), FAULTS["no_progress"])
    assert casebook.lasting() == {"no_progress": since}
    # Control: where it goes on.
    drift(casebook, range(700, 800, 50), jump)
    assert casebook.lasting() == {}


def test_one_jump_of_a_discriminator_that_overpowers_does_not_end_it() -> None:
    casebook = Casebook(2000, {})
    assert drift(casebook, range(50, 550, 50), FAULTS["discriminator_overpowers"]) == {"discriminator_overpowers"}
    casebook.add(point(550, FAULTS["discriminator_overpowers"], {DISCRIMINATOR_ACCURACY: 0.7}))
    drift(casebook, range(600, 700, 50), FAULTS["discriminator_overpowers"])
    assert casebook.lasting() == {"discriminator_overpowers": 250}
    # Control: two of them do.
    drift(casebook, range(700, 800, 50), FAULTS["discriminator_overpowers"], {DISCRIMINATOR_ACCURACY: 0.7})
    assert casebook.lasting() == {}


def test_samples_at_half_the_way_of_unseen_images_are_learnt_by_heart_before_most_are_copies() -> None:
    near = {COPIES: 0.2, NEAREST_TRAINING: 0.45}
    assert drift(Casebook(5000, {}), range(1000, 1300, 50), near) == {"memorisation"}
    assert drift(Casebook(5000, {}), range(1000, 1300, 50), near, {NEAREST_TRAINING: 0.55}) == set()


def finding(rule: str, since: int, ended: int | None = None, text: str = "Collapsed: 64 cells, 1 kind") -> Any:
    severity = RULES[rule].severity
    return FindingReported(
        iteration=since, rule=rule, since=since, ended=ended, severity=severity, text=text, evidence={}
    )


def test_the_verdict_names_the_worst_and_then_the_most_telling() -> None:
    collapse, overpowers = finding("mode_collapse", 1200), finding("discriminator_overpowers", 300)
    saturated = finding("saturated_units", 2000)
    verdict = judge([saturated, overpowers, collapse], 2000)
    assert (verdict.text, verdict.tone) == ("Collapsed since iteration 1,200: 64 cells, 1 kind", "serious")
    assert (verdict.rule, verdict.since) == ("mode_collapse", 1200)
    assert judge([saturated], 2000).tone == "warning"
    assert judge([], 2000).text == "No fault found up to iteration 2,000"
    assert judge([finding("mode_collapse", 100, 300)], 500).tone == "good"
    # Control: gone for as long as it lasted.
    assert judge([finding("mode_collapse", 100, 300)], 499).tone == "warning"
    assert describe(finding("mode_collapse", 100, 300)) == "Collapsed from iteration 100 to 300: 64 cells, 1 kind"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "recipes").glob("*.yaml")), ids=lambda p: p.stem
)
def test_advice_changes_each_recipe_into_a_valid_spec(path: Path) -> None:
    spec = load_spec(path)
    if not spec.losses.has_gan:
        return
    data = spec.model_dump(mode="json")
    for rule in RULES.values():
        for advice in advise(rule.remedies, data):
            assert advice.title
            assert advice.text.endswith(".")
            changed = parse_spec(changed_fields(spec, advice.changes).model_dump(mode="json"))
            assert (changed != spec) == bool(advice.changes)


def test_a_sigmoid_run_is_told_to_take_relu_first() -> None:
    data = load_spec(Path(__file__).parents[3] / "recipes/winkler-one-layer.yaml").model_dump(mode="json")
    first = advise(RULES["mode_collapse"].remedies, data)[0]
    assert first.title == "ReLU for sigmoid"
    layers = first.changes["discriminator.layers"]
    assert "sigmoid" not in {layer.get("kind") for layer in layers}
    assert "Winkler" in first.source


def advice_of(spec: dict[str, Any]) -> dict[str, Any] | None:
    """Return the adaptive augmentation that a discriminator that overfits is given, if any."""
    for advice in advise(RULES["discriminator_overfits"].remedies, spec):
        for technique in advice.changes.get("techniques", ()):
            if technique["technique"] == "ada":
                return dict(technique)
    return None


def test_a_discriminator_that_overfits_is_told_to_augment_so_fast_that_the_run_sees_it() -> None:
    data = load_spec(Path(__file__).parents[3] / "recipes/weaver-emoji.yaml").model_dump(mode="json")
    # 1,500 iterations of 64 images are 96 thousand: a quarter of them.
    assert advice_of(data) == {"technique": "ada", "speed": 24.0}
    assert advice_of(data | {"iterations": 10**6}) == {"technique": "ada", "speed": 500.0}
    # Where it would be refused, and where it is there.
    assert advice_of(data | {"losses": {"discriminator": "wasserstein", "generator": "wasserstein"}}) is None
    assert advice_of(data | {"dataset": {"name": "gaussians"}}) is None
    first = advise(RULES["discriminator_overfits"].remedies, data | {"techniques": [{"technique": "ada"}]})[0]
    assert first.title == "Differentiable augmentation"
