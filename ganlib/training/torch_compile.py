"""Compile both networks by torch.compile, for `speed.compile`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from ganlib.errors import CompilationFailed
from ganlib.networks.players import Networks, Pass
from ganlib.runtime.compile_cache import CompileCache, compile_cache, current_cache
from ganlib.spec.job import JobSpec, deciding_fields

BACKEND = "inductor"
# A damaged library in the cache shows as the last two, where torch does not wrap them.
_ERRORS = (TorchDynamoException, OSError, ImportError)
# Fields that change no compiled pass.
_NOT_COMPILED = (
    "seed",
    "optimisers",
    "samples",
    "discriminator_steps",
    "generator_advantage",
    "adaptive_advantage",
)


@contextmanager
def cache_of(spec: JobSpec) -> Iterator[CompileCache | None]:
    """Lend a run the cache of what it compiles; None where it compiles nothing."""
    if not spec.speed.compile:
        yield None
        return
    deciding = {name: value for name, value in deciding_fields(spec).items() if name not in _NOT_COMPILED}
    with compile_cache(json.dumps([torch.__version__, BACKEND, deciding], sort_keys=True)) as cache:
        yield cache


def compile_networks(networks: Networks) -> None:
    """Let training run compiled passes of both networks; the modules, and so their weights' names, stay theirs.

    Sample grids, measurements, hooks and gradients of gradients use the modules as they are.
    """
    # Networks compiled for other runs of this process would count towards torch's limit.
    torch.compiler.reset()
    networks.compile(_compile_network)


def _compile_network(network: nn.Module) -> Pass:
    """Return the network's pass, compiled when first called; that call raises CompilationFailed if it cannot be.

    Random layers draw torch's own numbers, as they do uncompiled. What a cache of earlier runs makes fail is
    compiled anew, once.
    """
    compiled = _compile(network)

    def run(*inputs: Any) -> Tensor:
        nonlocal compiled
        try:
            return compiled(*inputs)
        except _ERRORS as error:
            cache = current_cache()
            if cache is None or cache.is_fresh:
                raise _explain(error) from error
        cache.discard()
        _forget_loaded()
        compiled = _compile(network)
        try:
            return compiled(*inputs)
        except _ERRORS as error:
            raise _explain(error) from error

    return run


def _compile(network: nn.Module) -> Pass:
    options: dict[str, Any] | None = {"fallback_random": True} if BACKEND == "inductor" else None
    compiled: Pass = torch.compile(network, backend=BACKEND, dynamic=False, fullgraph=True, options=options)
    return compiled


def _forget_loaded() -> None:
    """Forget what this process has read from the cache."""
    from torch._inductor import utils

    torch.compiler.reset()
    utils.clear_caches()


def _explain(error: Exception) -> CompilationFailed:
    return CompilationFailed(
        f"speed.compile: torch could not compile a network here: {_first_line(error)} For a CPU it needs a C++ "
        "compiler (Debian, Ubuntu: apt install g++) and Python's headers, for CUDA Triton; or leave speed.compile "
        "out."
    )


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith(".") else line + "."
