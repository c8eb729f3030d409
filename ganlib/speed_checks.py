"""What a spec asks of speed must fit the rest of it (no torch)."""

from typing import TYPE_CHECKING

from ganlib.sections.techniques import R1Spec

if TYPE_CHECKING:
    from ganlib.spec import JobSpec


def find_speed_problem(spec: "JobSpec") -> tuple[str, str] | None:
    """Return the first field that a recorded step cannot follow, and why, or None."""
    if not spec.speed.cuda_graphs:
        return None
    if spec.device == "cpu":
        return (
            "speed.cuda_graphs",
            "there are CUDA graphs on CUDA alone; set device to auto or cuda, or leave it out",
        )
    if spec.adaptive_advantage is not None:
        return (
            "adaptive_advantage",
            "speed.cuda_graphs replays the same updates in each iteration; use one or the other",
        )
    for index, part in enumerate(spec.techniques):
        if isinstance(part, R1Spec) and part.every > 1:
            return (
                f"techniques.{index}.every",
                "speed.cuda_graphs replays the same penalties each time; set this to 1, or use one or the other",
            )
    return None
