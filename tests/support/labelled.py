"""Changes of the small spec that make it use labels, one family each."""

from typing import Any

CONDITIONAL_GENERATOR: dict[str, Any] = {
    "layers": [
        {"layer": "labels", "encoding": "embedding", "size": 5},
        {"layer": "dense", "size": 32},
        {"layer": "norm", "kind": "conditional_batch"},
        "relu",
        {"layer": "dense", "size": 64},
        {"layer": "reshape", "shape": [1, 8, 8]},
        "tanh",
    ]
}

# A label budget, a held-out part, weight norm, noise, feature matching, and a classifier of averaged weights.
SEMI_SUPERVISED: dict[str, Any] = {
    "dataset": {"name": "digits", "labels": 20, "validation": 30},
    "discriminator": {
        "layers": [
            {"layer": "noise", "std": 0.1},
            {"layer": "dense", "size": 24, "weights": "weight_norm"},
            "relu",
            {"layer": "dense", "size": 10, "weights": "weight_norm"},
        ]
    },
    "losses": {"classes": {"kind": "semi_supervised", "weight": 2}},
    "techniques": [
        {"technique": "feature_matching", "mode": "add"},
        {"technique": "ema_discriminator", "decay": 0.8},
    ],
    "evaluation": {"every": 2, "metrics": ["accuracy"]},
}

# Batch norm in both players: real and fake images go through the discriminator one after the other.
ACGAN: dict[str, Any] = {
    "generator": {"layers": ["labels", *CONDITIONAL_GENERATOR["layers"][1:2], "batch_norm", "relu",
                             *CONDITIONAL_GENERATOR["layers"][4:]]},
    "discriminator": {
        "layers": [{"layer": "conv", "size": 8, "kernel": 3}, "batch_norm", "leaky_relu",
                   {"layer": "dense", "size": 11}]
    },
    "losses": {"classes": {"kind": "auxiliary", "weight": 0.5, "generator_weight": 0.3}},
    "evaluation": {"every": 2, "metrics": ["accuracy"]},
}  # fmt: skip

# Projection, spectral norm, conditional and virtual batch norm, hinge loss, averaged generator.
CONDITIONAL: dict[str, Any] = {
    "generator": {
        "layers": [
            {"layer": "labels", "encoding": "embedding", "size": 5},
            {"layer": "dense", "size": 32},
            {"layer": "norm", "kind": "conditional_batch"},
            "relu",
            {"layer": "dense", "size": 64},
            "virtual_batch_norm",
            {"layer": "reshape", "shape": [1, 8, 8]},
            "tanh",
        ],
        "reference_size": 10,
    },
    "discriminator": {
        "layers": [
            {"layer": "conv", "size": 6, "kernel": 3, "weights": "spectral_norm"},
            "virtual_batch_norm",
            "leaky_relu",
            "labels",
            {"layer": "projection", "weights": "spectral_norm"},
        ],
        "reference_size": 10,
    },
    "losses": {"discriminator": "hinge", "generator": "hinge"},
    "techniques": [{"technique": "ema_generator", "decay": 0.8}],
}

CATGAN: dict[str, Any] = {
    "discriminator": {
        "layers": [{"layer": "dense", "size": 24}, "batch_norm", "leaky_relu", {"layer": "dense", "size": 10}]
    },
    "losses": {
        "discriminator": "catgan",
        "generator": "catgan",
        "classes": {"kind": "categories", "weight": 0.7},
    },
    "dataset": {"name": "digits", "labels": 30},
    "precision": "bfloat16",
}

CATGAN_WITHOUT_LABELS: dict[str, Any] = {
    "discriminator": {"layers": [{"layer": "dense", "size": 24}, "leaky_relu", {"layer": "dense", "size": 20}]},
    "losses": {
        "discriminator": "catgan",
        "generator": "catgan",
        "classes": {"kind": "categories", "count": 20},
    },
}

FAKE_CLASS: dict[str, Any] = {
    "discriminator": {"layers": [{"layer": "dense", "size": 24}, "leaky_relu", {"layer": "dense", "size": 11}]},
    "losses": {"classes": {"kind": "semi_supervised_fake_class"}},
}

SHARED_TRUNK: dict[str, Any] = {**FAKE_CLASS, "losses": {"classes": {"kind": "shared_trunk"}}}

CLASSIFIER: dict[str, Any] = {
    **{name: SEMI_SUPERVISED[name] for name in ("dataset", "discriminator", "evaluation")},
    "losses": {"discriminator": "none", "generator": "none", "classes": {"kind": "semi_supervised"}},
    "techniques": [{"technique": "ema_discriminator", "decay": 0.8}],
}

FAMILIES: dict[str, dict[str, Any]] = {
    "semi-supervised with a budget": SEMI_SUPERVISED,
    "acgan": ACGAN,
    "conditional": CONDITIONAL,
    "catgan with labels": CATGAN,
    "catgan without labels": CATGAN_WITHOUT_LABELS,
    "fake class": FAKE_CLASS,
    "shared trunk": SHARED_TRUNK,
    "classifier alone": CLASSIFIER,
}
