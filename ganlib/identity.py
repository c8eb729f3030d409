"""What makes two specs the same run."""

import hashlib
import json

from ganlib.spec import JobSpec

# Fields that alter no weight and no image: a run may go on when they were changed.
FREE_FIELDS = {
    "name", "description", "tags", "recipe", "queue", "iterations", "log_every", "sample_every",
    "checkpoint_every", "histogram_every", "evaluation", "transfer",
}  # fmt: skip


def training_identity(spec: JobSpec) -> str:
    """Return the sha256 of the fields that decide the bytes of weights and images."""
    deciding = spec.model_dump(mode="json", exclude=FREE_FIELDS)
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
