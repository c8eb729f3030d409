"""torch.compile: the same training up to rounding, and a sentence where it cannot be done."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch._dynamo.utils import counters

from ganlib.errors import CompilationFailed
from ganlib.networks.players import Networks
from ganlib.runtime.compile_cache import compile_cache
from ganlib.spec.job import JobSpec
from ganlib.training import torch_compile

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
        {"technique": "ada", "speed": 0.1, "every": 1, "target": -0.9, "geometry": False},
        {"technique": "lecam", "start": 1},
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


# Making libraries is what takes long, and torch's: one case does it. The other goes through all before that, the
# capture of both passes and of their gradients, whose operations are then computed as they are.
@pytest.mark.parametrize(
    ("changes", "backend"),
    [(CONDITIONAL, "aot_eager"), (SEMI_SUPERVISED, "inductor")],
    ids=["conditional", "semi-supervised"],
)
def test_compiled_training_is_the_same_within_rounding_and_resumes_to_the_same_bytes(
    make_spec: MakeSpec,
    run_training: RunTraining,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    backend: str,
) -> None:
    monkeypatch.setattr(torch_compile, "BACKEND", backend)
    cadence = {"iterations": ITERATIONS, "log_every": 1, "sample_every": 10, "checkpoint_every": 10}
    plain = run_training(make_spec(**changes, **cadence))
    captured = counters["stats"]["unique_graphs"]
    spec = make_spec(**changes, **cadence, speed={"compile": True})
    whole = run_training(spec)
    assert len(whole.numbers()) == ITERATIONS
    assert counters["stats"]["unique_graphs"] > captured
    assert greatest_difference(plain, whole) < TOLERANCE
    # A library rounds otherwise than torch's own operations.
    assert backend != "inductor" or greatest_difference(plain, whole) > 0

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


@pytest.mark.parametrize("is_mended", [True, False])
def test_a_cache_that_cannot_be_loaded_is_thrown_away_once_and_the_pass_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_mended: bool
) -> None:
    """Where a fresh cache fails too, the error is said in a sentence."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    with compile_cache("a spec"):
        Path(os.environ["TORCHINDUCTOR_CACHE_DIR"], "kernel.so").touch()
    compiled: list[nn.Module] = []

    def stand_in(network: nn.Module) -> Any:
        compiled.append(network)
        if len(compiled) > 1 and is_mended:
            return network

        def fail(*_: Any) -> None:
            raise OSError("kernel.so: file too short")

        return fail

    monkeypatch.setattr(torch_compile, "_compile", stand_in)
    networks = Networks(nn.Linear(2, 2), nn.Linear(2, 1))
    inputs = torch.ones(3, 2)
    with compile_cache("a spec") as cache:
        assert not cache.is_fresh
        run = torch_compile._compile_network(networks.generator)
        if is_mended:
            assert torch.equal(run(inputs), networks.generator(inputs))
        else:
            with pytest.raises(CompilationFailed, match="file too short"):
                run(inputs)
        assert cache.is_fresh
    assert len(compiled) == 2
