"""Two processes, started by torchrun, that share each batch: the same training as one process, up to rounding."""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ganlib.errors import NotShardable
from ganlib.events import MetricsLogged, event_adapter
from ganlib.spec.job import JobSpec
from ganlib.spec.parse import parse_spec
from ganlib.training.recording.run_folder import run_in_folder
from ganlib.training.state import refuse_unshardable
from tests.support.processes import start

ROOT = Path(__file__).parents[3]
ITERATIONS = 20
TOLERANCE = 1e-4

CONV = {"layer": "conv", "size": 8, "kernel": 3, "stride": 2, "padding": 1}
# A bias right before batch norm has no gradient but rounding, which Adam makes as large as any other.
NORMED_CONV = {**CONV, "bias": False}
UP = {"layer": "transposed_conv", "size": 1, "kernel": 4, "stride": 2, "padding": 1}


def dense(size: int, **options: Any) -> dict[str, Any]:
    return {"layer": "dense", "size": size, **options}


PLAIN_GENERATOR = {"layers": [dense(128), "relu", {"layer": "reshape", "shape": [8, 4, 4]}, UP, "tanh"]}

SHARED: dict[str, dict[str, Any]] = {
    "without batch norm; noise, dropout, augmentation, R1": {
        "generator": PLAIN_GENERATOR,
        "discriminator": {
            "layers": [{"layer": "noise", "std": 0.2}, CONV, "leaky_relu", "dropout", dense(1)],
        },
        "techniques": [
            {"technique": "diff_augment"},
            {"technique": "ada", "speed": 5, "target": -0.9},
            {"technique": "lecam", "start": 3},
            {"technique": "instance_noise", "until": 30},
            {"technique": "ema_generator", "decay": 0.9},
            {"technique": "r1", "gamma": 1},
            {"technique": "historical_averaging"},
        ],
        "histogram_every": 8,
    },
    "batch norm in both, minibatch discrimination, feature matching": {
        "discriminator": {
            "layers": [
                NORMED_CONV,
                "batch_norm",
                "leaky_relu",
                {"layer": "minibatch_discrimination", "size": 4, "dimensions": 3},
                dense(1, weights="spectral_norm"),
            ]
        },
        "techniques": [{"technique": "feature_matching", "mode": "add", "layer": 1}],
        "adaptive_advantage": {"every": 4},
    },
    "semi-supervised with few labels": {
        "dataset": {"name": "digits", "labels": 100},
        "discriminator": {"layers": [NORMED_CONV, "batch_norm", "leaky_relu", "dropout", dense(10)]},
        "losses": {"classes": {"kind": "semi_supervised"}},
        "techniques": [{"technique": "ema_discriminator", "decay": 0.9}],
        "evaluation": {"every": 10, "metrics": ["accuracy"]},
    },
    "conditional, gradient penalty": {
        "generator": {
            "layers": [
                "labels",
                dense(128, bias=False),
                {"layer": "norm", "kind": "conditional_batch"},
                "relu",
                {"layer": "reshape", "shape": [8, 4, 4]},
                UP,
                "tanh",
            ]
        },
        "discriminator": {"layers": [CONV, "leaky_relu", "projection"]},
        "losses": {"discriminator": "wasserstein", "generator": "wasserstein"},
        "techniques": [{"technique": "gradient_penalty", "weight": 2}],
        "discriminator_steps": 2,
    },
    "categories": {
        "generator": PLAIN_GENERATOR,
        "discriminator": {"layers": [CONV, "leaky_relu", dense(10)]},
        "losses": {"discriminator": "catgan", "generator": "catgan", "classes": {"kind": "categories"}},
    },
    # The lead trains the classifiers whole, while the others wait.
    "classifiers on the discriminator's first layers": {
        "discriminator": {"layers": [NORMED_CONV, "batch_norm", "leaky_relu", dense(1)]},
        "transfer": {
            "every": 10,
            "kept_layers": 3,
            "head": [dense(10)],
            "labels": 100,
            "iterations": 4,
            "batch_size": 16,
            "points": 2,
        },
    },
}

NORMED = "batch norm in both, minibatch discrimination, feature matching"


# The command line's test executes it, as a person does; the other one forks all three processes.
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


def train_tasks(tasks: list[dict[str, Any]], folder: Path) -> tuple[int, str]:
    """Train them one after the other in two processes on this machine; returns torchrun's status and output."""
    path = folder / "tasks.json"
    path.write_text(json.dumps(tasks))
    process = start(*TORCHRUN, "tests.ganlib.runtime.rank_runs", path)
    output, _ = process.communicate(timeout=600)
    return process.wait(), output


def metrics_of(folder: Path) -> list[dict[str, float]]:
    """Return what was logged but the speed."""
    events = [event_adapter.validate_json(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]
    return [
        {name: value for name, value in event.values.items() if not name.startswith("speed/")}
        for event in events
        if isinstance(event, MetricsLogged)
    ]


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the checkpoints and grids."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.parent != folder}


def train_alone(spec: JobSpec, folder: Path) -> list[dict[str, float]]:
    run_in_folder(spec, folder, lambda event: None, lambda: False)
    return metrics_of(folder)


def greatest_difference(first: list[dict[str, float]], second: list[dict[str, float]]) -> float:
    assert [list(values) for values in first] == [list(values) for values in second]
    return max(abs(one[name] - other[name]) for one, other in zip(first, second, strict=True) for name in one)


@dataclass(frozen=True)
class SharedRuns:
    """The folder of all runs, the specs of those that were compared with one process, and how torchrun ended."""

    root: Path
    specs: dict[str, dict[str, Any]]
    status: int
    output: str


@pytest.fixture(scope="module")
def shared_runs(tmp_path_factory: pytest.TempPathFactory) -> SharedRuns:
    """Train everything in one start of two processes, because starting them is what takes long."""
    root = tmp_path_factory.mktemp("shared")
    specs = {name: spec_data(**changes) for name, changes in SHARED.items()}
    tasks: list[dict[str, Any]] = [{"folder": str(root / name), "spec": spec} for name, spec in specs.items()]
    tasks.append({"folder": str(root / "unsynchronised"), "spec": specs[NORMED], "unsynchronised": True})
    halved = {"folder": str(root / "halved"), "spec": specs[NORMED]}
    tasks += [halved | {"stop": {"rank": 1, "iteration": 11}}, halved, halved]
    endless = spec_data(iterations=100_000, log_every=1000)
    tasks.append({"folder": str(root / "lost"), "spec": endless, "die": {"rank": 1, "iteration": 5}})
    status, output = train_tasks(tasks, root)
    assert (root / "lost").exists(), output
    return SharedRuns(root, specs, status, output)


def spec_data(**changes: Any) -> dict[str, Any]:
    return {
        "name": "shared",
        "dataset": "digits",
        "latents": {"size": 8},
        "generator": {
            "layers": [
                dense(128, bias=False),
                "batch_norm",
                "relu",
                {"layer": "reshape", "shape": [8, 4, 4]},
                UP,
                "tanh",
            ]
        },
        "discriminator": {"layers": [dense(1)]},
        "iterations": ITERATIONS,
        "batch_size": 16,
        "log_every": 1,
        "sample_every": ITERATIONS,
        "checkpoint_every": ITERATIONS,
        "samples": {"rows": 2, "columns": 3},
        "device": "cpu",
        "precision": "float32",
        **changes,
    }


@pytest.mark.parametrize("name", SHARED)
def test_two_processes_log_what_one_does(shared_runs: SharedRuns, tmp_path: Path, name: str) -> None:
    alone = train_alone(parse_spec(shared_runs.specs[name]), tmp_path / "alone")
    assert len(alone) >= ITERATIONS
    assert greatest_difference(metrics_of(shared_runs.root / name), alone) < TOLERANCE


def test_the_classifiers_of_a_shared_run_are_reported(shared_runs: SharedRuns) -> None:
    logged = metrics_of(shared_runs.root / "classifiers on the discriminator's first layers")
    assert sum("transfer/scratch_accuracy" in values for values in logged) == ITERATIONS // 10


def test_the_start_says_how_many_processes_share_the_run(shared_runs: SharedRuns) -> None:
    started = json.loads((shared_runs.root / NORMED / "events.jsonl").read_text().splitlines()[0])
    assert re.search(r"\d threads?, 2 processes\)$", started["device"])


def test_that_would_fail_if_batch_norm_looked_at_its_own_items_only(
    shared_runs: SharedRuns,
) -> None:
    right, wrong = (metrics_of(shared_runs.root / name) for name in (NORMED, "unsynchronised"))
    assert greatest_difference(right, wrong) > 100 * TOLERANCE


def test_all_stop_when_one_is_asked_to_and_go_on_to_the_same_bytes(
    shared_runs: SharedRuns,
) -> None:
    halved, whole = (files_of(shared_runs.root / name) for name in ("halved", NORMED))
    assert "00000011.safetensors" in halved.keys() - whole.keys()
    assert {name: halved[name] for name in whole} == whole


def test_a_process_that_dies_ends_the_other_with_a_sentence(shared_runs: SharedRuns) -> None:
    assert shared_runs.status == 1
    assert "Another process of this run has ended" in shared_runs.output


def test_the_command_line_trains_in_two_processes_and_stops_on_a_signal(tmp_path: Path) -> None:
    folder, spec = tmp_path / "run", spec_data(iterations=100_000, log_every=1000, sample_every=10)
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    training = ("ganvas", "train", str(tmp_path / "spec.json"), "--out", str(folder))
    command = [sys.executable, "-m", *TORCHRUN, *training]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (folder / "samples" / "00000010.png").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    # One process speaks.
    assert errors.count("Run the same command again") == 1
    (checkpoint,) = (folder / "checkpoints").iterdir()
    shorter = parse_spec(spec | {"iterations": int(checkpoint.stem) + 2})
    train_alone(shorter, folder)
    assert (folder / "samples" / f"{shorter.iterations:08d}.png").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 15}, "batch_size: 15 cannot be divided evenly among 2 processes"),
        ({"speed": {"compile": True}}, "speed.compile"),
        ({"discriminator": {"layers": ["virtual_batch_norm", "dropout", dense(1)]}}, "beside dropout"),
        (
            {
                "generator": {
                    "layers": [
                        dense(64),
                        "virtual_batch_norm",
                        "batch_norm",
                        {"layer": "reshape", "shape": [1, 8, 8]},
                    ]
                }
            },
            "generator has virtual batch norm",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NotShardable, match=words):
        refuse_unshardable(parse_spec(spec_data(**changes)), 2)


def test_virtual_batch_norm_alone_can_be_shared() -> None:
    refuse_unshardable(parse_spec(spec_data(discriminator={"layers": ["virtual_batch_norm", dense(1)]})), 2)
