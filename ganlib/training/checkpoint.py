"""Checkpoints: all that is needed to resume training exactly, in one safetensors file.

Tensors are named `generator.…`, `discriminator.…`, `optimiser.<player>.<parameter>.<key>`,
`technique.<index>.…`, `rhythm.…`, `logits.…`, `diagnosis.…`, `latents.fixed` and `random.…`. The file's metadata
holds one JSON
object, `ganvas`: format, iteration, identity of the spec and the fields that make it, torch's version, the device
with the number of its threads, a digest of the tensors, and what the training images are known by. Nothing is ever
unpickled.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlib.datasets import Fingerprint, show_names
from ganlib.errors import CheckpointInvalid, DataChanged
from ganlib.runtime.device import describe_device
from ganlib.spec.job import deciding_fields, training_identity
from ganlib.spec.paths import describe_differences
from ganlib.training.state import TrainingState

FORMAT = 1
# The size of a tensor's entry in the file's header, at most.
_BYTES_OF_A_NAME = 512
# Logits wait here for their histogram, which counts those that are not finite.
_MAY_BE_ANY_NUMBER = "logits."


@dataclass(frozen=True)
class Snapshot:
    """A copy of a run's state at one moment, still on its device. computed_on: names that, with its threads."""

    iteration: int
    identity: str
    data: Fingerprint | None
    spec: dict[str, Any]
    computed_on: str
    tensors: dict[str, Tensor]


def take_snapshot(state: TrainingState) -> Snapshot:
    """Copy the state that the run needs to resume, without waiting for the device."""
    tensors = {name: tensor.detach().clone() for name, tensor in _tensors_of(state).items()}
    return Snapshot(
        state.iteration,
        training_identity(state.spec),
        state.data.fingerprint,
        deciding_fields(state.spec),
        describe_computer(state),
        tensors,
    )


def describe_computer(state: TrainingState) -> str:
    """Name what the last bits of the run's sums depend on: the device, a CPU's threads, the processes."""
    return describe_device(state.device, state.shard.count if state.shard else 1)


def find_broken_tensors(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that hold NaN or infinities; waits for their devices, once for each."""
    by_device: dict[torch.device, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel() and not name.startswith(_MAY_BE_ANY_NUMBER):
            by_device.setdefault(tensor.device, {})[name] = tensor
    broken: list[str] = []
    for named in by_device.values():
        # The largest size in a tensor is finite where all of it is, whatever the sum of its squares.
        largest = torch._foreach_norm(list(named.values()), torch.inf)
        finite = torch.stack([size.double() for size in largest]).isfinite().tolist()
        broken += [name for name, is_finite in zip(named, finite, strict=True) if not is_finite]
    return broken


def estimate_bytes(state: TrainingState) -> int:
    """Return how large a checkpoint will be, or more: an optimiser holds nothing before its first step."""
    # In the header the spec is text within text, where each quotation mark takes two characters.
    size = 2 * len(json.dumps(deciding_fields(state.spec)))
    for tensor in _tensors_of(state).values():
        size += tensor.nbytes + _BYTES_OF_A_NAME
    for _, network, optimiser in _players(state):
        fresh = [weights for weights in network.parameters() if weights not in optimiser.state]
        # No optimiser here keeps more than two numbers of each weight, and how often it stepped.
        size += sum(2 * (weights.nbytes + _BYTES_OF_A_NAME) for weights in fresh)
    return size


def write_checkpoint(snapshot: Snapshot, path: Path) -> None:
    """Write the snapshot as a safetensors file."""
    tensors, metadata = _pack(snapshot)
    save_file(tensors, path, metadata)


def checkpoint_bytes(snapshot: Snapshot) -> bytes:
    """Return the bytes that `write_checkpoint` writes."""
    tensors, metadata = _pack(snapshot)
    return save(tensors, metadata)


def _pack(snapshot: Snapshot) -> tuple[dict[str, Tensor], dict[str, str]]:
    tensors = {name: tensor.cpu().contiguous() for name, tensor in snapshot.tensors.items()}
    facts = {
        "format": FORMAT,
        "iteration": snapshot.iteration,
        "identity": snapshot.identity,
        "spec": snapshot.spec,
        "computed_on": snapshot.computed_on,
        "torch": torch.__version__,
        "digest": digest_tensors(tensors),
        "data": asdict(snapshot.data) if snapshot.data else None,
    }
    # One entry: the order of several is not kept, and the same state has to give the same bytes.
    return tensors, {"ganvas": json.dumps(facts, sort_keys=True)}


def load_checkpoint(path: Path, state: TrainingState) -> str:
    """Bring a freshly built run to the checkpoint's state, and let it know what that was computed on.

    Returns a sentence for a person where files of the data set changed but not the images trained on, else "".
    Raises CheckpointInvalid, and DataChanged where these images are others than before.
    """
    facts, tensors = _read(path)
    if facts["identity"] != training_identity(state.spec):
        differences = describe_differences(facts["spec"], deciding_fields(state.spec)) if "spec" in facts else ""
        raise CheckpointInvalid(
            f"{path.name} belongs to another spec{': it differs in ' + differences if differences else ''}. All "
            "that decides weights and images must be as it was; only name, description, tags, recipe, queue, "
            "iterations, evaluation, transfer, histogram_layers and the *_every fields may change. Start anew, or "
            "use that run's spec."
        )
    if facts["iteration"] > state.spec.iterations:
        raise CheckpointInvalid(
            f"{path.name} is from iteration {facts['iteration']:,}, but the spec ends at iteration "
            f"{state.spec.iterations:,}; raise iterations."
        )
    notice = _compare_data(path, facts, state.data.fingerprint)
    broken = find_broken_tensors(tensors)
    if broken:
        raise CheckpointInvalid(
            f"{path.name} holds numbers that are not finite ({broken[0]}): its run had diverged before it was "
            "stored. Go on from an earlier checkpoint, or start anew with a smaller learning rate."
        )
    try:
        _restore(state, tensors)
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointInvalid(f"{path.name} does not fit the networks of this spec: {error}") from error
    state.iteration = facts["iteration"]
    state.resumed_on = str(facts.get("computed_on", ""))
    return notice


def _compare_data(path: Path, facts: dict[str, Any], now: Fingerprint | None) -> str:
    """Return a sentence about changes beside the training images, or ""; raises DataChanged."""
    # Checkpoints of earlier versions do not say which images they were trained on.
    if facts.get("data") is None or now is None:
        return ""
    then = Fingerprint(**facts["data"] | {"class_names": tuple(facts["data"]["class_names"])})
    has_same_files = then.files == now.files != ""
    if then.pixels == now.pixels:
        is_silent = has_same_files or not now.files
        return (
            "" if is_silent else "Files of the data set changed since the checkpoint, its training images did not."
        )
    if has_same_files:
        return "The same image files are decoded a little differently here, as by another version of Pillow."
    if then.count != now.count:
        change = f"there were {then.count:,}, and now there are {now.count:,}"
    elif then.class_names != now.class_names:
        change = f"the classes were {show_names(then.class_names)}, and now they are {show_names(now.class_names)}"
    else:
        change = f"some of the {now.count:,} are others, or in another order"
    raise DataChanged(
        f"The training images are not those of {path.name} (iteration {facts['iteration']:,}): {change}. To "
        "continue this run, give it the earlier images back; to train on these, start a new run."
    )


def read_facts(path: Path) -> dict[str, Any]:
    """Return what a checkpoint says of itself, without its tensors; raises CheckpointInvalid."""
    return _open(path, with_tensors=False)[0]


def _open(path: Path, with_tensors: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            facts = json.loads((file.metadata() or {})["ganvas"])
            names = file.keys() if with_tensors else ()
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointInvalid(f"{path.name} is no checkpoint, or a damaged one: {error}") from error
    if facts.get("format") != FORMAT:
        raise CheckpointInvalid(f"{path.name} has format {facts.get('format')}; this version reads {FORMAT}.")
    return facts, tensors


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    facts, tensors = _open(path, with_tensors=True)
    if facts["digest"] != digest_tensors(tensors):
        raise CheckpointInvalid(f"{path.name} is damaged: its tensors do not match their digest.")
    return facts, tensors


def go_back(state: TrainingState, snapshot: Snapshot) -> None:
    """Take back both players, their optimisers and techniques from a snapshot of the same run.

    The iteration stays, and random numbers go on from where they are: the same ones would lead to the same fault.
    """
    iteration, drawn = state.iteration, _random_states(state)
    diagnosis = state.diagnosis
    _restore(state, {**{name: tensor.clone() for name, tensor in snapshot.tensors.items()}, **drawn})
    state.iteration, state.diagnosis = iteration, diagnosis


def _tensors_of(state: TrainingState) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {"latents.fixed": state.fixed_latents, **_random_states(state)}
    for player, network, optimiser in _players(state):
        named |= {f"{player}.{name}": tensor for name, tensor in network.state_dict().items()}
        for name, parameter in network.named_parameters():
            kept = optimiser.state.get(parameter, {})
            named |= {f"optimiser.{player}.{name}.{key}": tensor for key, tensor in kept.items()}
    named |= {f"logits.{name}": tensor for name, tensor in state.logit_history.state_dict().items()}
    # Named `rhythm` in the format, the first name of the update schedule.
    named |= {f"rhythm.{name}": tensor for name, tensor in state.update_schedule.state_dict().items()}
    for index, technique in enumerate(state.techniques):
        named |= {f"technique.{index}.{name}": tensor for name, tensor in technique.state_dict().items()}
    return named


def _restore(state: TrainingState, tensors: dict[str, Tensor]) -> None:
    for player, network, optimiser in _players(state):
        network.load_state_dict(_below(tensors, player))
        for name, parameter in network.named_parameters():
            kept = _below(tensors, f"optimiser.{player}.{name}")
            optimiser.state[parameter] = {key: _like(parameter, tensor) for key, tensor in kept.items()}
    state.diagnosis = _below(tensors, "diagnosis")
    state.logit_history.load_state_dict(_below(tensors, "logits"), state.device)
    state.update_schedule.load_state_dict(_below(tensors, "rhythm"))
    for index, technique in enumerate(state.techniques):
        technique.load_state_dict(_below(tensors, f"technique.{index}"))
    state.fixed_latents = tensors["latents.fixed"].to(state.device)
    state.latents_generator.set_state(tensors["random.latents"])
    torch.set_rng_state(tensors["random.layers"])
    # A checkpoint from a machine without CUDA has no such state: the run resumes, but not with equal bytes.
    if state.device.type == "cuda" and "random.layers_cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.layers_cuda"], state.device)


def _random_states(state: TrainingState) -> dict[str, Tensor]:
    states = {"random.latents": state.latents_generator.get_state(), "random.layers": torch.get_rng_state()}
    if state.device.type == "cuda":
        states["random.layers_cuda"] = torch.cuda.get_rng_state(state.device)
    return states


def _players(state: TrainingState) -> list[tuple[str, nn.Module, Optimizer]]:
    return [
        ("generator", state.networks.generator, state.generator_optimiser),
        ("discriminator", state.networks.discriminator, state.discriminator_optimiser),
    ]


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _like(parameter: nn.Parameter, tensor: Tensor) -> Tensor:
    """Put an optimiser's tensor on the parameter's device, laid out in memory like the parameter."""
    if tensor.shape != parameter.shape:
        return tensor.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)


def digest_tensors(tensors: dict[str, Tensor]) -> str:
    """Return the sha256 of the tensors' names, types, shapes and bytes; they lie on the CPU."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}\n".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
