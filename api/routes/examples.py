"""Bodies that the documentation shows; a test sends them."""

from typing import Any

SPEC_EXAMPLE: dict[str, Any] = {
    "name": "first-digits",
    "tags": ["mnist"],
    "seed": 1,
    "dataset": "mnist",
    "latents": {"size": 64},
    "generator": {
        "layers": [
            {"layer": "dense", "size": 784},
            "tanh",
            {"layer": "reshape", "shape": [1, 28, 28]},
        ]
    },
    "discriminator": {"layers": ["flatten", {"layer": "dense", "size": 1}]},
    "iterations": 1000,
}

CLAIM_EXAMPLE: dict[str, Any] = {
    "worker": "gpu-1",
    "devices": ["cpu", "cuda"],
    "provenance": {
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "python": "3.12.4",
        "versions": {"torch": "2.9.0"},
        "device": "NVIDIA A100",
        "hostname": "gpu-1",
    },
}

EVENTS_EXAMPLE: dict[str, Any] = {
    "events": [
        {
            "seq": 0,
            "at": "2026-01-02T03:04:05Z",
            "event": {
                "kind": "metrics_logged",
                "iteration": 10,
                "values": {"loss/generator": 0.693, "loss/discriminator": "nan"},
            },
        },
        {
            "seq": 1,
            "at": "2026-01-02T03:04:06Z",
            "event": {"kind": "line_logged", "iteration": 10, "level": "info", "text": "Ten iterations done."},
        },
    ]
}

FINISH_EXAMPLE: dict[str, Any] = {"end": "succeeded", "events_count": 2}

EDIT_EXAMPLE: dict[str, Any] = {"add_tags": ["good"], "remove_tags": ["sweep-1"], "note": "The sharpest so far."}
WORKER_EXAMPLE = {
    "name": "gpu-1",
    "device": "NVIDIA H200",
    "gpus": [
        {"index": 0, "name": "NVIDIA H200", "memory_total": 150754820096, "memory_used": 0, "utilisation": 0.0}
    ],
}
