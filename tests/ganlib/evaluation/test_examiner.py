"""The examiner in real runs: the four runs that were praised once, resuming, and what specs ask for on a fault."""

from collections.abc import Callable
from typing import Any

import pytest
from safetensors import safe_open

from ganlib.errors import SpecInvalid, StoppedByFault, TrainingDiverged
from ganlib.events import FindingReported
from ganlib.spec.job import JobSpec
from ganlib.vocabulary import DIVERSITY, GENERATOR_GRADIENT, KINDS, REAL_DISTANCE

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

SIGMOID: dict[str, Any] = {
    "generator": {
        "layers": [{"layer": "dense", "size": 32}, "sigmoid", {"layer": "dense", "size": 64}, "tanh",
                   {"layer": "reshape", "shape": [1, 8, 8]}]
    },
    "discriminator": {"layers": [{"layer": "dense", "size": 32}, "sigmoid", {"layer": "dense", "size": 1}]},
    "optimisers": {name: {"kind": "sgd", "learning_rate": 0.4} for name in ("generator", "discriminator")},
    "batch_size": 32,
}  # fmt: skip
EXAMINED: dict[str, Any] = {
    "diagnosis": {"every": 20},
    "sample_every": 20,
    "log_every": 50,
    "checkpoint_every": 60,
}
COLLAPSING = {**SIGMOID, **EXAMINED, "iterations": 200}


def findings_of(run: Any) -> dict[tuple[str, int], FindingReported]:
    """Return the newest report of each finding."""
    return {(event.rule, event.since): event for event in run.of_kind("finding_reported")}


def rules_of(run: Any) -> set[str]:
    return {rule for rule, _ in findings_of(run)}


def test_a_collapsed_run_is_found_while_it_trains_and_signals_are_logged(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    run = run_training(make_spec(**COLLAPSING))
    found = next(event for (rule, _), event in findings_of(run).items() if rule == "mode_collapse")
    assert (found.severity, found.ended, found.since) == ("serious", None, 80)
    assert found.text == "Collapsed: 64 cells, 1 kind"
    assert found.evidence[KINDS.name] == 1
    measured = [values for _, values in run.numbers() if KINDS.name in values]
    assert len(measured) == 10
    assert {DIVERSITY.name, REAL_DISTANCE.name, GENERATOR_GRADIENT.name} <= measured[0].keys()


def test_a_run_that_learns_raises_nothing(make_spec: MakeSpec, run_training: RunTraining) -> None:
    adam = {name: {"kind": "adam", "learning_rate": 0.002} for name in ("generator", "discriminator")}
    run = run_training(make_spec(**EXAMINED, iterations=400, batch_size=32, optimisers=adam))
    assert findings_of(run) == {}


def test_examined_or_not_the_weights_and_grids_are_the_same(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    plain = run_training(make_spec(iterations=6))
    examined = run_training(make_spec(iterations=6, diagnosis={"every": 2}))
    assert {name: data for name, data in plain.files().items() if name.startswith("samples")} == {
        name: data for name, data in examined.files().items() if name.startswith("samples")
    }
    (before, after) = (run.out_dir / "checkpoints/00000006.safetensors" for run in (plain, examined))
    with safe_open(before, "pt") as first, safe_open(after, "pt") as second:
        assert all(bool((first.get_tensor(name) == second.get_tensor(name)).all()) for name in first.keys())  # noqa: SIM118 (no mapping)


def test_a_resumed_run_finds_the_same_byte_for_byte(make_spec: MakeSpec, run_training: RunTraining) -> None:
    spec = make_spec(**COLLAPSING)
    whole = run_training(spec)
    resumed = run_training(spec, resume_from=whole.out_dir / "checkpoints/00000060.safetensors")
    told = [
        [event.model_dump_json() for event in run.events if getattr(event, "iteration", 0) > 60
         and (event.kind == "finding_reported" or (event.kind == "metrics_logged" and KINDS.name in event.values))]
        for run in (whole, resumed)
    ]  # fmt: skip
    assert told[0] == told[1]
    assert any("mode_collapse" in line for line in told[1])
    name = "checkpoints/00000180.safetensors"
    assert whole.files()[name] == resumed.files()[name]


def test_a_loss_that_is_no_number_is_a_finding_before_the_run_ends(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    rates = {name: {"kind": "sgd", "learning_rate": 10.0} for name in ("generator", "discriminator")}
    losses = {"discriminator": "least_squares", "generator": "least_squares"}
    spec = make_spec(**EXAMINED, iterations=200, optimisers=rates, losses=losses)
    run = run_training(spec, expected=TrainingDiverged)
    assert isinstance(run.error, TrainingDiverged)
    found = run.of_kind("finding_reported")
    assert found[-1].rule == "divergence"
    assert found[-1].text.startswith("Diverged: ")


def test_stop_ends_the_run_after_a_checkpoint_and_says_why(make_spec: MakeSpec, run_training: RunTraining) -> None:
    run = run_training(make_spec(**COLLAPSING, on={"mode_collapse": "stop"}), expected=StoppedByFault)
    assert str(run.error) == (
        "Collapsed since iteration 80: 64 cells, 1 kind. The spec says on.mode_collapse: stop."
    )
    assert run.error.iteration == 100
    assert [event.iteration for event in run.of_kind("checkpoint_saved")] == [60, 100]
    assert (
        next(event for event in run.of_kind("finding_reported") if event.rule == "mode_collapse").action == "stop"
    )


def test_rollback_goes_back_changes_the_rate_and_says_so(make_spec: MakeSpec, run_training: RunTraining) -> None:
    change = {"optimisers.generator.learning_rate": 0.01}
    spec = make_spec(**COLLAPSING, on={"mode_collapse": {"action": "rollback", "change": change}})
    run = run_training(spec, expected=StoppedByFault)
    told = [event for event in run.of_kind("finding_reported") if event.rule == "mode_collapse"]
    first, ended = told[0], told[1]
    assert (first.action, first.rolled_back_to, first.changes) == ("rollback", 60, change)
    assert (ended.since, ended.ended, ended.action, ended.rolled_back_to) == (80, 100, "rollback", 60)
    lines = [event.text for event in run.of_kind("line_logged") if event.level == "warning"]
    assert any("Both players are those of iteration 60 again" in line for line in lines)
    # Nothing that was recorded is taken back; where the fault comes again the run ends.
    grids = [event.iteration for event in run.of_kind("sample_grid_saved")]
    assert grids == list(range(0, grids[-1] + 1, 20))
    assert run.error is None or "allows no further rollback" in str(run.error)


def test_a_run_that_was_rolled_back_resumes_to_the_same_bytes(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    change = {"optimisers.generator.learning_rate": 0.01, "discriminator_steps": 2}
    spec = make_spec(**COLLAPSING, on={"mode_collapse": {"action": "rollback", "change": change, "at_most": 1}})
    whole = run_training(spec, expected=StoppedByFault)
    resumed = run_training(
        spec, resume_from=whole.out_dir / "checkpoints/00000120.safetensors", expected=StoppedByFault
    )
    grids = [name for name in whole.files() if name.startswith("samples/000001")]
    kept = [name for name in grids if name in resumed.files()]
    assert len(kept) > 0
    assert all(whole.files()[name] == resumed.files()[name] for name in kept)


@pytest.mark.parametrize(
    ("on", "problem"),
    [
        ({"mode_colapse": "stop"}, "did you mean mode_collapse"),
        ({"mode_collapse": "rollback"}, "a rollback needs change"),
        ({"mode_collapse": {"action": "stop", "change": {"generator_advantage": 2}}}, "only a rollback changes"),
        ({"mode_collapse": {"action": "rollback", "change": {"batch_size": 2}}}, "cannot be changed on the way"),
        (
            {"mode_collapse": {"action": "rollback", "change": {"generator_advantage": 0}}},
            "must be greater than or equal to 1",
        ),
        ({"mode_collapse": "explode"}, "notify"),
    ],
)
def test_a_reaction_that_cannot_be_is_refused(make_spec: MakeSpec, on: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecInvalid, match=problem):
        make_spec(**{**COLLAPSING, "on": on})
    with pytest.raises(SpecInvalid, match=r"without diagnosis\.enabled"):
        make_spec(**{**COLLAPSING, "diagnosis": {"enabled": False}, "on": {"mode_collapse": "stop"}})
