"""Classifier transfer: what is kept, what is learnt, what is reported, and that the GAN does not notice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlib.datasets import load_train_and_test
from ganlib.errors import LabelBudgetInvalid, SpecInvalid
from ganlib.evaluation import transfer as transfer_module
from ganlib.evaluation.transfer import (
    TransferTask,
    build_classifier,
    build_first_layers,
    copy_layers,
    load_task,
    train_classifier,
)
from ganlib.networks.build import build_network
from ganlib.networks.layers import Before
from ganlib.spec.job import JobSpec, training_identity
from ganlib.spec.parse import parse_spec
from ganlib.spec.sections.evaluation import TransferSpec
from ganlib.spec.sections.networks import NetworkSpec
from ganlib.trainer import StopReason
from ganlib.training.state import TrainingState, build_state
from ganlib.training.step import train_step

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]

CPU = torch.device("cpu")
HEAD = [{"layer": "dense", "size": 10}]
TRANSFER: dict[str, Any] = {
    "every": 2, "kept_layers": 2, "head": HEAD, "labels": 100, "iterations": 4, "batch_size": 16, "points": 2,
}  # fmt: skip
DEEP = TRANSFER | {"kept_layers": 3}
DISCRIMINATOR = {
    "layers": [
        {"layer": "conv", "size": 4, "kernel": 3, "stride": 2, "weights": "spectral_norm"},
        "batch_norm",
        "leaky_relu",
        {"layer": "dense", "size": 1},
    ]
}


def never() -> bool:
    return False


@pytest.fixture
def trained(make_spec: MakeSpec) -> TrainingState:
    """A run of three iterations whose discriminator has spectral norm and batch norm, behind instance noise."""
    noise = {"technique": "instance_noise", "std": 0.1, "until": 10}
    state = build_state(make_spec(discriminator=DISCRIMINATOR, transfer=DEEP, techniques=[noise]), CPU)
    for _ in range(3):
        train_step(state)
    return state


@contextmanager
def kept_classifiers() -> Iterator[list[nn.Module]]:
    """Collect each classifier that is built."""
    built: list[nn.Module] = []

    def build(*args: Any) -> nn.Module:
        built.append(build_classifier(*args))
        return built[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer_module, "build_classifier", build)
        yield built


def learn(state: TrainingState, **changes: Any) -> tuple[nn.Module, dict[int, Tensor]]:
    """Train a classifier on the run's discriminator; return it and its errors."""
    spec = TransferSpec.model_validate(DEEP | changes)
    count = spec.kept_layers
    with kept_classifiers() as built:
        errors = train_classifier(
            state, spec, load_task(state, spec), lambda: copy_layers(state.networks.discriminator, count), never
        )
    return built[0], errors


def figures(run: Any) -> list[tuple[int, dict[str, float]]]:
    return [(iteration, values) for iteration, values in run.numbers() if "transfer/accuracy" in values]


def tensors_of(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())


def test_the_kept_layers_are_copies_of_the_discriminators_behind_its_noise(trained: TrainingState) -> None:
    assert isinstance(trained.networks.discriminator, Before)
    inner = trained.networks.discriminator.network
    kept = copy_layers(trained.networks.discriminator, 3)
    assert [type(layer) for layer in kept] == [type(layer) for layer in list(inner.children())[:3]]
    wanted = [tensor for name, tensor in inner.state_dict().items() if not name.startswith("3.")]
    # Two of spectral norm's vectors, weight and bias, and batch norm's five.
    assert len(wanted) == 9
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(tensors_of(kept), wanted, strict=True))
    next(kept.parameters()).data.add_(1)
    assert not torch.equal(next(kept.parameters()), next(inner.parameters()))


def test_from_scratch_means_the_weights_that_the_discriminator_began_with(trained: TrainingState) -> None:
    fresh = build_state(trained.spec, CPU)
    first = build_first_layers(trained, 3)
    begun = copy_layers(fresh.networks.discriminator, 3)
    assert all(
        torch.equal(mine, theirs) for mine, theirs in zip(tensors_of(first), tensors_of(begun), strict=True)
    )
    learnt = copy_layers(trained.networks.discriminator, 3)
    assert not torch.equal(next(first.parameters()), next(learnt.parameters()))


def test_both_classifiers_begin_with_the_same_head(trained: TrainingState) -> None:
    spec = trained.spec.transfer
    assert spec is not None
    images = torch.zeros(2, 1, 8, 8)
    pretrained = build_classifier(trained, spec, copy_layers(trained.networks.discriminator, 3), images)
    scratch = build_classifier(trained, spec, build_first_layers(trained, 3), images)
    assert all(
        torch.equal(one, other)
        for one, other in zip(tensors_of(pretrained.head), tensors_of(scratch.head), strict=True)
    )
    assert pretrained(images).shape == (2, 10)


def test_kept_layers_learn_unless_they_are_frozen(trained: TrainingState) -> None:
    before = tensors_of(copy_layers(trained.networks.discriminator, 3))
    for frozen in (False, True):
        classifier, _ = learn(trained, frozen=frozen)
        same = [torch.equal(one, two) for one, two in zip(tensors_of(classifier.kept), before, strict=True)]
        # Weights, batch norm's statistics and its count of batches; frozen, not even these change.
        assert all(same) if frozen else not any(same[:2] + same[4:7])
        head = build_network(NetworkSpec(layers=HEAD), (36,))
        assert classifier.head[0].weight.shape == head[0].weight.shape
        assert classifier.head[0].weight.requires_grad
    assert all(
        torch.equal(one, two)
        for one, two in zip(before, tensors_of(copy_layers(trained.networks.discriminator, 3)), strict=True)
    )


def test_errors_are_those_of_all_test_images_after_each_measured_step(trained: TrainingState) -> None:
    classifier, errors = learn(trained)
    _, test = load_train_and_test(trained.spec.dataset)
    assert len(test.labels) == 300
    with torch.no_grad():
        told = classifier.eval()(test.images.float() / 127.5 - 1).argmax(1)
    assert list(errors) == [2, 4]
    assert errors[4].item() == sum(told[index] != test.labels[index] for index in range(300))
    assert errors[2].item() != errors[4].item()


def test_only_the_budgets_images_are_learnt_from(trained: TrainingState, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TransferSpec.model_validate(DEEP | {"iterations": 20})
    task = load_task(trained, spec)
    assert torch.bincount(task.labels).tolist() == [10] * 10
    training_images, _ = load_train_and_test(trained.spec.dataset)
    known = {image.numpy().tobytes() for image in training_images.images}
    assert {image.numpy().tobytes() for image in task.images} <= known
    assert task.pool == len(training_images.labels) == 1497
    seen: set[int] = set()
    order = task.order.indices
    monkeypatch.setattr(task.order, "indices", lambda step: seen.update(order(step).tolist()) or order(step))
    learn_from(trained, spec, task)
    assert seen == set(range(100))


def learn_from(state: TrainingState, spec: TransferSpec, task: TransferTask) -> dict[int, Tensor]:
    return train_classifier(state, spec, task, lambda: copy_layers(state.networks.discriminator, 3), never)


def test_a_head_whose_first_values_come_from_data_sees_the_kept_layers_features(trained: TrainingState) -> None:
    spec = TransferSpec.model_validate(DEEP | {"head": [{"layer": "dense", "size": 10, "weights": "weight_norm"}]})
    images = load_task(trained, spec).images[:50].float() / 127.5 - 1
    kept = copy_layers(trained.networks.discriminator, 3)
    before = [tensor.clone() for tensor in tensors_of(kept)]
    classifier = build_classifier(trained, spec, kept, images)
    assert all(torch.equal(one, two) for one, two in zip(tensors_of(kept), before, strict=True))
    with torch.no_grad():
        logits = classifier(images)
    # Salimans and Kingma (2016), section 3: mean 0 and variance 1 over that batch.
    assert logits.mean(0).abs().max() < 1e-4
    assert (logits.var(0, correction=0) - 1).abs().max() < 1e-3


def test_figures_come_every_so_many_iterations_and_at_the_last(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    run = run_training(make_spec(iterations=5, transfer=TRANSFER))
    assert [iteration for iteration, _ in figures(run)] == [2, 4, 5]
    for _, values in figures(run):
        assert set(values) == {
            "transfer/accuracy", "transfer/accuracy_after_2",
            "transfer/scratch_accuracy", "transfer/scratch_accuracy_after_2",
        }  # fmt: skip
        assert all(0 <= value <= 1 for value in values.values())
    scratch = {values["transfer/scratch_accuracy"] for _, values in figures(run)}
    assert len(scratch) == 1, "the classifier from scratch knows nothing of the GAN's iterations"
    line = next(line.text for line in run.of_kind("line_logged") if line.text.startswith("Transfer"))
    assert line == (
        "Transfer: 4 steps of a classifier on the discriminator's first 2 of 3 layers with 100 of 1,497 labels; "
        "its accuracy is of all 300 test images."
    )


def test_classifiers_come_at_the_named_iterations_too(make_spec: MakeSpec, run_training: RunTraining) -> None:
    transfer = {**TRANSFER, "at": [1, 3]}
    del transfer["every"]
    run = run_training(make_spec(iterations=4, transfer=transfer))
    assert [iteration for iteration, _ in figures(run)] == [1, 3, 4]
    del transfer["at"]
    assert [iteration for iteration, _ in figures(run_training(make_spec(iterations=4, transfer=transfer)))] == [4]


def test_training_does_not_notice_the_classifiers(make_spec: MakeSpec, run_training: RunTraining) -> None:
    layers = {
        "layers": [{"layer": "noise", "std": 0.1}, {"layer": "conv", "size": 8, "kernel": 3}, "batch_norm",
                   "leaky_relu", "dropout", {"layer": "dense", "size": 1}]
    }  # fmt: skip
    plain = make_spec(discriminator=layers)
    watched = make_spec(discriminator=layers, transfer=TRANSFER | {"every": 1, "kept_layers": 5})
    first, second = run_training(plain), run_training(watched)
    assert first.files() == second.files()
    assert [values for _, values in second.numbers() if "loss/generator" in values] == [
        values for _, values in first.numbers()
    ]
    assert len(figures(second)) == 6


def test_with_torchs_own_stream_the_classifiers_would_change_the_training(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: random state is not given back."""
    layers = {"layers": ["dropout", {"layer": "conv", "size": 8, "kernel": 3}, {"layer": "dense", "size": 1}]}

    @contextmanager
    def lend_nothing(_device: torch.device) -> Iterator[None]:
        yield

    monkeypatch.setattr(transfer_module, "reproducible_torch", lend_nothing)
    plain, watched = make_spec(discriminator=layers), make_spec(discriminator=layers, transfer=TRANSFER)
    assert run_training(plain).files() != run_training(watched).files()


def test_a_run_that_was_stopped_goes_on_to_the_same_figures(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    spec = make_spec(transfer=TRANSFER)
    whole = run_training(spec)
    # Asked once after iteration 1, then the answer to the question after iteration 2 is yes.
    first = run_training(spec, stop_at=2)
    assert (first.events[-1].iteration, figures(first)) == (2, [])
    second = run_training(spec, resume_from=first.out_dir / "checkpoints/00000002.safetensors")
    assert figures(second) == figures(whole)
    last = "checkpoints/00000006.safetensors"
    assert second.files()[last] == whole.files()[last]


@pytest.mark.parametrize("stop_at", [3, 5, 7, 9])
def test_a_stop_while_a_classifier_learns_or_is_tested_ends_the_run_at_once_and_loses_nothing(
    make_spec: MakeSpec, run_training: RunTraining, stop_at: int
) -> None:
    spec = make_spec(transfer=TRANSFER)
    # Two questions of the GAN's; then from scratch: four before the steps, two before the tests; then the other.
    first = run_training(spec, stop_at=stop_at)
    assert first.reason is StopReason.STOPPED
    assert (first.events[-1].iteration, first.events[-1].reason) == (2, "stopped")
    assert figures(first) == []
    second = run_training(spec, resume_from=first.out_dir / "checkpoints/00000002.safetensors")
    assert figures(second) == figures(run_training(spec))


def test_a_stop_in_the_last_transfer_is_made_up_for_though_no_iteration_is_left(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    spec = make_spec(iterations=2, transfer=TRANSFER)
    first = run_training(spec, stop_at=2)
    assert (first.reason, figures(first)) == (StopReason.STOPPED, [])
    second = run_training(spec, resume_from=first.out_dir / "checkpoints/00000002.safetensors")
    assert second.reason is StopReason.COMPLETED
    assert figures(second) == figures(run_training(spec))


def test_the_classifier_from_scratch_is_trained_once(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setattr(
        transfer_module, "build_first_layers", lambda *args: built.append(args) or build_first_layers(*args)
    )
    assert len(figures(run_training(make_spec(transfer=TRANSFER)))) == 3
    assert len(built) == 1


def test_a_transfer_may_change_where_a_run_goes_on(make_spec: MakeSpec, run_training: RunTraining) -> None:
    plain, watched = make_spec(), make_spec(transfer=TRANSFER)
    assert training_identity(plain) == training_identity(watched)
    first = run_training(plain, stop_at=3)
    second = run_training(watched, resume_from=first.out_dir / "checkpoints/00000003.safetensors")
    assert [iteration for iteration, _ in figures(second)] == [4, 6]


def test_the_time_that_classifiers_take_is_not_the_trainings(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("ganlib.training.recording.run_reporter.perf_counter", lambda: clock[0])

    def take_an_hour(*_: Any) -> dict[int, Tensor]:
        clock[0] += 3600
        return {1: torch.tensor(0)}

    monkeypatch.setattr(transfer_module, "train_classifier", take_an_hour)
    monkeypatch.setattr("ganlib.trainer.train_step", lambda state, step=train_step: tick(clock) or step(state))
    run = run_training(make_spec(transfer=TRANSFER))
    speeds = [event.values.get("speed/iterations_per_second") for event in run.of_kind("metrics_logged")]
    assert [speed for speed in speeds if speed] == pytest.approx([1.0] * 4)


def tick(clock: list[float]) -> None:
    clock[0] += 1


def test_more_labels_than_there_are_images_are_refused_before_training(
    make_spec: MakeSpec, run_training: RunTraining
) -> None:
    with pytest.raises(LabelBudgetInvalid, match="only 1,497 images"):
        run_training(make_spec(transfer=TRANSFER | {"labels": 2000}))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"kept_layers": 3}, "transfer.kept_layers", "has 3 layers and the last must go: keep at most 2"),
        ({"kept_layers": 0}, "transfer.kept_layers", "must be at least 1"),
        ({"at": [2]}, "transfer.at", "either every or at"),
        ({"every": None, "at": [2, 7]}, "transfer.at.1", "ends at iteration 6, before 7"),
        ({"labels": 9}, "transfer.labels", "too few for 10 classes"),
        ({"head": []}, "transfer.head", "at least 1 item"),
        ({"head": [{"layer": "dense", "size": 9}]}, "transfer.head.0", "is 9, but must be 10"),
        ({"head": [{"layer": "conv", "size": 9, "kernel": 5}]}, "transfer.head.0", "does not fit"),
        ({"head": [{"layer": "dense"}]}, "transfer.head.0.size", "this field is required"),
        ({"head": [{"layer": "dens"}]}, "transfer.head.0", "'layer' is not known"),
        ({"head": ["labels", *HEAD]}, "transfer.head.0", "looks at labels"),
        ({"head": ["virtual_batch_norm", *HEAD]}, "transfer.head.0", "reference batch"),
        ({"optimiser": {"learning_rate": -1}}, "transfer.optimiser.learning_rate", "must be more than 0"),
        ({"batch_size": 1}, "transfer.batch_size", "must be at least 2"),
    ],
)
def test_a_transfer_that_does_not_fit_is_refused_by_name(
    make_spec_data: Callable[..., dict[str, Any]], changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(make_spec_data(transfer=TRANSFER | changes))
    (problem,) = caught.value.problems
    assert problem.field == field
    assert words in problem.message


def test_a_head_without_weights_and_kept_layers_with_a_reference_batch_are_refused(
    make_spec_data: Callable[..., dict[str, Any]],
) -> None:
    layers = [{"layer": "conv", "size": 8, "kernel": 3}, "virtual_batch_norm", {"layer": "dense", "size": 1}]
    with pytest.raises(SpecInvalid, match=r"transfer.kept_layers: the discriminator's layer 1 \(norm\) looks at"):
        parse_spec(make_spec_data(discriminator={"layers": layers}, transfer=TRANSFER))
    layers = [{"layer": "dense", "size": 10}, {"layer": "dense", "size": 1}]
    with pytest.raises(SpecInvalid, match=r"transfer\.head: a head without weights cannot learn"):
        parse_spec(
            make_spec_data(
                discriminator={"layers": layers}, transfer=TRANSFER | {"kept_layers": 1, "head": ["relu"]}
            )
        )


def test_measured_steps_are_spread_evenly_and_end_with_the_last() -> None:
    def steps(iterations: int, points: int) -> list[int]:
        return TransferSpec.model_validate(TRANSFER | {"iterations": iterations, "points": points}).measured_steps

    assert steps(1000, 4) == [250, 500, 750, 1000]
    assert steps(10, 3) == [3, 6, 10]
    assert steps(2, 5) == [1, 2]
