"""Facts of a spec that rules need, as plain values."""

from ganlib.spec.job import JobSpec
from ganlib.spec.sections.losses import LOSSES


def gather_facts(spec: JobSpec) -> dict[str, bool | int | float | str]:
    """Return the facts that rules judge by, the same for a run and whoever looks at it later."""
    losses = LOSSES.get(spec.losses.discriminator)
    return {
        "is_critic": bool(losses and losses.is_critic),
        "loss": spec.losses.discriminator,
        "classes": spec.dataset.class_count,
        "batch_size": spec.batch_size,
    }
