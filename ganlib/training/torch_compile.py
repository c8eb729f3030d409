"""Compile both networks by torch.compile, for `speed.compile`."""

from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from ganlib.errors import CompilationFailed
from ganlib.networks.players import Networks, Pass


def compile_networks(networks: Networks) -> None:
    """Let training run compiled passes of both networks; the modules, and so their weights' names, stay theirs.

    Sample grids, measurements, hooks and gradients of gradients use the modules as they are.
    """
    # Networks compiled for other runs of this process would count towards torch's limit.
    torch.compiler.reset()
    networks.compile(_compile_network)


def _compile_network(network: nn.Module) -> Pass:
    """Return the network's pass, compiled when first called; that call raises CompilationFailed if it cannot be.

    Random layers draw torch's own numbers, as they do uncompiled.
    """
    compiled = torch.compile(network, dynamic=False, fullgraph=True, options={"fallback_random": True})

    def run(*inputs: Any) -> Tensor:
        try:
            outputs: Tensor = compiled(*inputs)
        except TorchDynamoException as error:
            raise CompilationFailed(
                f"speed.compile: torch could not compile a network here: {_first_line(error)} For a CPU it needs "
                "a C++ compiler (Debian, Ubuntu: apt install g++) and Python's headers, for CUDA Triton; or leave "
                "speed.compile out."
            ) from error
        return outputs

    return run


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith(".") else line + "."
