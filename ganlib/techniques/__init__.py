"""Techniques: each is one file that fills some slots of the trainer, chosen by the name that a spec gives."""

from collections.abc import Callable
from typing import Any

from ganlib.spec.job import JobSpec
from ganlib.techniques.base import Networks, StepBatch, Technique
from ganlib.techniques.diff_augment import DiffAugment
from ganlib.techniques.feature_matching import FeatureMatching
from ganlib.techniques.gradient_penalty import GradientPenalty
from ganlib.techniques.historical_averaging import HistoricalAveraging
from ganlib.techniques.instance_noise import InstanceNoise
from ganlib.techniques.label_smoothing import LabelSmoothing
from ganlib.techniques.r1 import R1
from ganlib.techniques.weight_averages import EmaDiscriminator, EmaGenerator
from ganlib.techniques.weight_clipping import WeightClipping

# Each is called with its own part of the spec, then the whole spec.
TECHNIQUES: dict[str, Callable[[Any, JobSpec], Technique]] = {
    "ema_generator": EmaGenerator,
    "label_smoothing": LabelSmoothing,
    "weight_clipping": WeightClipping,
    "gradient_penalty": GradientPenalty,
    "r1": R1,
    "feature_matching": FeatureMatching,
    "historical_averaging": HistoricalAveraging,
    "instance_noise": InstanceNoise,
    "diff_augment": DiffAugment,
    "ema_discriminator": EmaDiscriminator,
}


def build_techniques(spec: JobSpec) -> list[Technique]:
    """Build the techniques in the order in which the spec lists them, which is the order of their calls."""
    return [TECHNIQUES[part.technique](part, spec) for part in spec.techniques]


__all__ = ["TECHNIQUES", "Networks", "StepBatch", "Technique", "build_techniques"]
