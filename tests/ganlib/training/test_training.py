"""The loop: what it reports, when, and that the bytes are the same each time."""

import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlib.errors import TrainingDiverged
from ganlib.events import Event, FindingReported, MetricsLogged, event_adapter
from ganlib.runtime.files import hash_file
from ganlib.spec.job import JobSpec
from ganlib.trainer import StopReason, train
from ganlib.training.recording import run_reporter
from ganlib.training.state import draw_fixed_latents

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]


def test_a_run_reports_its_whole_life_in_order(make_spec: MakeSpec, run_training: RunTraining) -> None:
    run = run_training(make_spec())
    assert run.reason is StopReason.COMPLETED
    assert run.kinds() == [
        ("training_started", 0),
        ("latents_fixed", None),
        ("line_logged", 0),
        ("sample_grid_saved", 0),
        ("metrics_logged", 1),
        ("metrics_logged", 2),
        ("sample_grid_saved", 3),
        ("metrics_logged", 4),
        ("checkpoint_saved", 4),
        ("metrics_logged", 6),
        ("sample_grid_saved", 6),
        ("checkpoint_saved", 6),
        ("training_ended", 6),
    ]


def test_the_last_iteration_has_metrics_a_grid_and_a_checkpoint_whatever_the_cadence(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    run = run_training(make_spec(iterations=5, log_every=100, sample_every=100, checkpoint_every=100))
    assert run.kinds()[4:] == [
        ("metrics_logged", 1),
        ("metrics_logged", 5),
        ("sample_grid_saved", 5),
        ("checkpoint_saved", 5),
        ("training_ended", 5),
    ]


def test_a_stop_leaves_a_checkpoint_of_that_iteration(make_spec: MakeSpec, run_training: RunTraining) -> None:
    run = run_training(make_spec(iterations=50), stop_at=5)
    assert run.reason is StopReason.STOPPED
    assert run.kinds()[-2:] == [("checkpoint_saved", 5), ("training_ended", 5)]
    assert run.events[-1].reason == "stopped"


def test_reported_files_are_there_with_their_hashes_and_events_survive_json(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    run = run_training(make_spec())
    files = [event.file for event in run.events if hasattr(event, "file")]
    assert {file.path for file in files} == run.files().keys()
    for file in files:
        path = run.out_dir / file.path
        assert (file.sha256, file.size) == (hash_file(path), path.stat().st_size)
    for event in run.events:
        assert event_adapter.validate_json(event.model_dump_json()) == event


def test_the_start_says_what_trains_on_what(make_spec: MakeSpec, run_training: RunTraining) -> None:
    run = run_training(make_spec(iterations=1, precision="bfloat16"))
    started, latents, line, grid = run.events[:4]
    assert (started.image_count, started.precision) == (1797, "bfloat16")
    assert started.generator_parameters == (8 * 128 + 128) + 2 * 128 + (8 * 16 + 1)
    assert started.discriminator_parameters == (9 * 8 + 8) + (8 * 4 * 4 + 1)
    assert started.device.startswith("cpu (")
    assert "in bfloat16: 1,797 images, 1,537 weights in the generator" in line.text
    assert (latents.count, latents.latent_size) == (6, 8)
    assert grid.latents_sha256 == latents.file.sha256
    assert (grid.rows, grid.columns, grid.cell_width, grid.cell_height) == (2, 3, 8, 8)


def test_events_come_from_one_other_thread_and_none_after_the_return(make_spec: MakeSpec, tmp_path: Path) -> None:
    threads: list[int] = []
    train(make_spec(), tmp_path, lambda event: threads.append(threading.get_ident()), lambda: False)
    count = len(threads)
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    assert len(threads) == count == 13


EXACT_SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bfloat16": {"precision": "bfloat16"},
    "ema_generator": {"techniques": [{"technique": "ema_generator", "decay": 0.8, "start": 2}]},
    "dropout and noise": {
        "discriminator": {
            "layers": [
                {"layer": "noise", "std": 0.1},
                {"layer": "conv", "size": 8, "kernel": 3},
                "leaky_relu",
                "dropout",
                {"layer": "dense", "size": 1},
            ]
        }
    },
    "batch norm in both": {
        "discriminator": {
            "layers": [
                {"layer": "conv", "size": 8, "kernel": 3},
                "batch_norm",
                "leaky_relu",
                {"layer": "dense", "size": 1},
            ]
        }
    },
    "virtual batch norm, minibatch discrimination, spectral norm": {
        "generator": {
            "layers": [
                {"layer": "dense", "size": 4 * 4 * 8},
                "virtual_batch_norm",
                "relu",
                {"layer": "reshape", "shape": [8, 4, 4]},
                {"layer": "transposed_conv", "size": 4, "kernel": 4, "stride": 2, "padding": 1},
                "virtual_batch_norm",
                {"layer": "conv", "size": 1, "kernel": 3, "padding": 1},
                "tanh",
            ],
            "reference_size": 10,
        },
        "discriminator": {
            "layers": [
                {"layer": "conv", "size": 8, "kernel": 3, "weights": "spectral_norm"},
                "leaky_relu",
                {"layer": "pool", "kind": "average", "kernel": 2},
                {"layer": "minibatch_discrimination", "size": 6, "dimensions": 3},
                {"layer": "dense", "size": 1, "weights": "spectral_norm"},
            ]
        },
        "techniques": [{"technique": "ema_generator"}],
    },
    "weight norm": {
        "generator": {
            "layers": [
                {"layer": "dense", "size": 4 * 4 * 8, "weights": "weight_norm"},
                "relu",
                {"layer": "reshape", "shape": [8, 4, 4]},
                {
                    "layer": "transposed_conv",
                    "size": 1,
                    "kernel": 4,
                    "stride": 2,
                    "padding": 1,
                    "weights": "weight_norm",
                },
                "tanh",
            ],
        },
        "discriminator": {
            "layers": [
                {"layer": "conv", "size": 8, "kernel": 3, "weights": "weight_norm"},
                "leaky_relu",
                "global_pool",
                {"layer": "dense", "size": 1, "weights": "weight_norm"},
            ]
        },
        "techniques": [{"technique": "ema_generator"}],
        "precision": "bfloat16",
    },
    "feature matching, instance noise, augmentation": {
        "techniques": [
            {"technique": "instance_noise", "std": 0.3, "until": 4},
            {"technique": "diff_augment"},
            {"technique": "feature_matching", "mode": "add"},
        ]
    },
    "historical averaging, features alone, adaptive augmentation, LeCam": {
        "techniques": [
            {"technique": "ada", "speed": 0.2, "every": 2, "target": -0.99},
            {"technique": "lecam", "start": 2, "decay": 0.5},
            {"technique": "historical_averaging"},
            {"technique": "feature_matching", "layer": 0, "distance": "l1"},
        ],
        "precision": "bfloat16",
    },
    # 1,797 images: the third iteration goes from the first epoch into the second.
    "across epochs": {"batch_size": 800},
    "uniform latents, minimax": {
        "latents": {"size": 8, "distribution": "uniform"},
        "losses": {"generator": "minimax"},
    },
}


@pytest.mark.parametrize("changes", EXACT_SPECS.values(), ids=EXACT_SPECS.keys())
def test_the_same_spec_gives_the_same_bytes_whether_stopped_or_not(
    make_spec: MakeSpec, run_training: RunTraining, changes: dict[str, Any]
) -> None:
    spec = make_spec(**changes, log_every=1, sample_every=1)
    whole = run_training(spec)
    assert run_training(spec).files() == whole.files()
    for stop_at in (1, 3, 5):
        first = run_training(spec, stop_at=stop_at)
        second = run_training(spec, resume_from=first.out_dir / f"checkpoints/{stop_at:08d}.safetensors")
        # Files of both halves together are those of the whole run; the checkpoint of the stop is one more.
        both = first.files() | second.files()
        assert {name: both[name] for name in whole.files()} == whole.files()
        assert first.numbers() + second.numbers() == whole.numbers()
        assert second.kinds()[:2] == [("training_started", stop_at), ("latents_fixed", None)]


def test_another_seed_gives_other_bytes(make_spec: MakeSpec, run_training: RunTraining) -> None:
    first, second = (run_training(make_spec(iterations=1, seed=seed)).files() for seed in (0, 1))
    assert all(first[name] != second[name] for name in first)


def test_what_a_run_does_not_depend_on_leaves_its_bytes_alone(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    plain = run_training(make_spec())
    torch.manual_seed(12345)
    often = run_training(make_spec(name="other", sample_every=1, log_every=1, checkpoint_every=1))
    assert {name: often.files()[name] for name in plain.files()} == plain.files()


def test_fixed_latents_depend_on_seed_latents_and_count_alone(make_spec: MakeSpec) -> None:
    base = draw_fixed_latents(make_spec())
    dense = {"layers": [{"layer": "dense", "size": 64}, {"layer": "reshape", "shape": [1, 8, 8]}]}
    for same in ({"generator": dense}, {"batch_size": 7}, {"samples": {"rows": 3, "columns": 2}}):
        assert torch.equal(draw_fixed_latents(make_spec(**same)), base)
    for other in ({"seed": 1}, {"latents": {"size": 8, "distribution": "uniform"}}):
        assert not torch.equal(draw_fixed_latents(make_spec(**other)), base)


def test_a_change_of_the_discriminator_leaves_the_first_grid_as_it_was(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    first = run_training(make_spec(iterations=1))
    second = run_training(make_spec(iterations=1, discriminator={"layers": [{"layer": "dense", "size": 1}]}))
    assert first.files()["samples/00000000.png"] == second.files()["samples/00000000.png"]
    assert first.files()["samples/00000001.png"] != second.files()["samples/00000001.png"]


def diverging(make_spec: MakeSpec, iterations: int = 200) -> JobSpec:
    wild = {"learning_rate": 10.0, "betas": [0.0, 0.0], "epsilon": 1e-30}
    linear = {"layers": [*[{"layer": "dense", "size": 64}] * 9, {"layer": "reshape", "shape": [1, 8, 8]}]}
    # No checkpoint in between: the optimisers' averages are infinite before a loss is.
    return make_spec(
        generator=linear,
        iterations=iterations,
        checkpoint_every=1000,
        optimisers={"generator": wild, "discriminator": wild},
    )


def test_a_loss_that_is_no_number_ends_training_with_its_name_and_iteration(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    events: list[Event] = []
    with pytest.raises(TrainingDiverged, match=r"^loss/(generator|discriminator) is (nan|inf)") as caught:
        train(diverging(make_spec), tmp_path, events.append, lambda: False)
    last, finding = events[-2:]
    assert isinstance(last, MetricsLogged)
    assert isinstance(finding, FindingReported)
    assert (finding.rule, finding.since) == ("divergence", caught.value.iteration)
    # Losses are logged in every second iteration; the first that is no number may be that of the one between.
    first = caught.value.iteration
    assert first in (last.iteration - 1, last.iteration)
    assert f"at iteration {first}:" in str(caught.value)
    flagged = json.loads(last.model_dump_json())["values"]
    assert {"nan", "inf"} & {str(value) for value in flagged.values()}


def test_without_those_checks_the_same_run_would_go_on(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for check in ("find_break", "find_broken_state"):
        monkeypatch.setattr(run_reporter, check, lambda *_: None)
    events: list[Event] = []
    train(diverging(make_spec), tmp_path, events.append, lambda: False)
    losses = [event.values["loss/generator"] for event in events if isinstance(event, MetricsLogged)]
    assert not math.isfinite(losses[-1])


def test_copies_of_the_weights_do_not_pile_up_behind_a_slow_disk(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, most = 0, 0
    take, write = run_reporter.take_snapshot, run_reporter.write_checkpoint

    def counted_take(state: Any) -> Any:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        return take(state)

    def slow_write(snapshot: Any, path: Path) -> None:
        nonlocal alive
        time.sleep(0.02)
        write(snapshot, path)
        alive -= 1

    monkeypatch.setattr(run_reporter, "take_snapshot", counted_take)
    monkeypatch.setattr(run_reporter, "write_checkpoint", slow_write)
    run = run_training(make_spec(checkpoint_every=1))
    assert len(run.of_kind("checkpoint_saved")) == 6
    assert most == 1


def test_an_error_of_the_listener_surfaces(make_spec: MakeSpec, tmp_path: Path) -> None:
    def fail(event: Event) -> None:
        if event.kind == "sample_grid_saved":
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        train(make_spec(iterations=10_000), tmp_path, fail, lambda: False)


def test_training_leaves_torchs_random_state_alone(make_spec: MakeSpec, run_training: RunTraining) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    run_training(make_spec(iterations=1))
    assert torch.equal(torch.rand(2), expected)


def test_numbers_are_read_from_the_device_where_they_are_logged_only(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading_threads: list[int] = []
    read = torch.Tensor.item

    def item(tensor: torch.Tensor) -> Any:
        reading_threads.append(threading.get_ident())
        return read(tensor)

    monkeypatch.setattr(torch.Tensor, "item", item)
    run = run_training(make_spec(iterations=20, log_every=10))
    assert threading.get_ident() not in reading_threads
    assert len(reading_threads) == 3 * 4
    assert len(run.of_kind("metrics_logged")) == 3
