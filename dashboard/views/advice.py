"""What to try when a run has failed, by the reason's code."""

ADVICE: dict[str, str] = {
    "training_diverged": (
        "Lower both learning rates by half, or train in float32 (precision: float32); "
        "the losses just before the end show which player broke first."
    ),
    "checkpoint_invalid": (
        "The checkpoint on disk is damaged or from another spec; submit the spec again to start afresh."
    ),
    "trainer_killed": (
        "Something ended the trainer from outside, most often the system for lack of memory: "
        "halve batch_size, or give the worker more."
    ),
    "checkpoint_unreadable": "The checkpoint could not be read back; submit the spec again to start afresh.",
    "attempts_used_up": (
        "Its workers were lost too often. Look at the last attempt's host: memory, disk, whether it was shut down."
    ),
    "spec_invalid": "The worker runs another version than the service; install the same version on both.",
}
# Errors whose message says what to do.
SAYS_ITSELF = frozenset(
    {
        "dataset_unavailable",
        "device_unavailable",
        "out_of_memory",
        "compilation_failed",
        "not_dealable",
        "process_lost",
        "disk_full",
    }
)
GENERAL_ADVICE = (
    "Read the end of the log below. The command “ganvas train” with the same spec shows the error at your own "
    "terminal, without a service."
)


def advise(code: str) -> str:
    """Return a sentence on what to try, or nothing where the error's own message says it."""
    if code in SAYS_ITSELF:
        return ""
    return ADVICE.get(code, GENERAL_ADVICE)
