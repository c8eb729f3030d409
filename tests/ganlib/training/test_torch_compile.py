"""torch.compile: the same training up to rounding, and a sentence where it cannot be done."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ganlib.errors import CompilationFailed
from ganlib.networks.players import Networks
from ganlib.spec.job import JobSpec

MakeSpec = Callable[..., JobSpec]
RunTraining = Callable[..., Any]
ITERATIONS = 20
TOLERANCE = 1e-4

# torch.compile looks at tensors in ways that make torch itself warn.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")

# Whatever a pass may meet: labels, both batch norms, random layers, computed weights, images changed before D,
# averages of the weights; hooks and a gradient of a gradient, whose passes are not compiled.
CONDITIONAL: dict[str, Any] = {
    "generator": {
        "layers": [
            "labels",
            {"layer": "dense", "size": 128, "weights": "weight_norm"},
            {"layer": "norm", "kind": "conditional_batch"},
            "relu",
            {"layer": "reshape", "shape": [8, 4, 4]},
            {"layer": "transposed_conv", "size": 1, "kernel": 4, "stride": 2, "padding": 1},
            "tanh",
        ]
    },
    "discriminator": {
        "layers": [
            {"layer": "noise", "std": 0.1},
            {"layer": "conv", "size": 8, "kernel": 3, "stride": 2, "padding": 1, "weights": "spectral_norm"},
            "leaky_relu",
            "dropout",
            "projection",
        ]
    },
    "techniques": [
        {"technique": "diff_augment"},
        {"technique": "ema_generator", "decay": 0.8},
        {"technique": "r1", "gamma": 1, "every": 2},
        {"technique": "feature_matching", "mode": "add"},
    ],
}
SEMI_SUPERVISED: dict[str, Any] = {
    "dataset": {"name": "digits", "labels": 100},
    "discriminator": {
        "layers": [
            {"layer": "conv", "size": 8, "kernel": 3, "stride": 2, "padding": 1},
            "batch_norm",
            "leaky_relu",
            {"layer": "dense", "size": 10},
        ]
    },
    "losses": {"classes": {"kind": "semi_supervised"}},
    "techniques": [{"technique": "ema_discriminator", "decay": 0.8}],
}


def greatest_difference(first: Any, second: Any) -> float:
    pairs = zip(first.numbers(), second.numbers(), strict=True)
    return max(abs(one[name] - other[name]) for (_, one), (_, other) in pairs for name in one)


@pytest.mark.parametrize("changes", [CONDITIONAL, SEMI_SUPERVISED], ids=["conditional", "semi-supervised"])
def test_compiled_training_is_the_same_within_rounding_and_resumes_to_the_same_bytes(
    make_spec: MakeSpec, run_training: RunTraining, changes: dict[str, Any]
) -> None:
    cadence = {"iterations": ITERATIONS, "log_every": 1, "sample_every": 10, "checkpoint_every": 10}
    plain = run_training(make_spec(**changes, **cadence))
    spec = make_spec(**changes, **cadence, speed={"compile": True})
    whole = run_training(spec)
    assert len(whole.numbers()) == ITERATIONS
    assert 0 < greatest_difference(plain, whole) < TOLERANCE

    names = [load_file(run.out_dir / "checkpoints/00000020.safetensors").keys() for run in (plain, whole)]
    assert names[0] == names[1]

    second = run_training(spec, resume_from=whole.out_dir / "checkpoints/00000010.safetensors")
    last = "checkpoints/00000020.safetensors"
    assert second.files()[last] == whole.files()[last]


def test_a_missing_compiler_is_said_in_a_sentence(
    make_spec: MakeSpec, run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config
    from torch._inductor.cpp_builder import get_cpp_compiler

    monkeypatch.setattr(config, "fx_graph_cache", False)
    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    get_cpp_compiler.cache_clear() if hasattr(get_cpp_compiler, "cache_clear") else None
    with pytest.raises(CompilationFailed, match=r"apt install g\+\+"):
        run_training(make_spec(speed={"compile": True}))


def test_only_training_passes_are_compiled() -> None:
    seen: list[nn.Module] = []

    def stand_in(network: nn.Module) -> Any:
        seen.append(network)
        return lambda inputs: network(inputs) + 1

    networks = Networks(nn.Linear(2, 2), nn.Linear(2, 1))
    networks.compile(stand_in)
    assert seen == [networks.generator, networks.discriminator]
    inputs = torch.ones(3, 2)
    assert torch.equal(networks.generate(inputs, None), networks.generator(inputs) + 1)
    assert torch.equal(networks.discriminate(inputs, None), networks.discriminator(inputs) + 1)
    assert torch.equal(networks.discriminate_eagerly(inputs, None), networks.discriminator(inputs))
    assert torch.equal(networks.realness(inputs, None), networks.discriminator(inputs).squeeze(1))
