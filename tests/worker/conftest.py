"""What the worker's tests share."""

from typing import Any

import pytest


@pytest.fixture
def tiny_spec() -> dict[str, Any]:
    """A dense GAN on the 8×8 digits: about a thousand iterations a second."""
    return {
        "name": "tiny",
        "seed": 3,
        "dataset": "digits",
        "latents": {"size": 8},
        "generator": {
            "layers": [{"layer": "dense", "size": 64}, "tanh", {"layer": "reshape", "shape": [1, 8, 8]}]
        },
        "discriminator": {"layers": ["flatten", {"layer": "dense", "size": 1}]},
        "iterations": 40,
        "batch_size": 8,
        "log_every": 10,
        "sample_every": 20,
        "checkpoint_every": 20,
        "samples": {"rows": 2, "columns": 2},
        "device": "cpu",
        "precision": "float32",
    }
