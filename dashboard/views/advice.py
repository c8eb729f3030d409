"""What to try when a run has failed, by the reason's code."""

ADVICE: dict[str, str] = {
    "training_diverged": (
        "Lower both learning rates by half, or train in float32 (precision: float32); "
        "the losses just before the end show which player broke first."
    ),
    "dataset_unavailable": (
        "Put the data set where the worker finds it (GANVAS_DATA names the folder), or train on dataset: digits."
    ),
    "checkpoint_invalid": (
        "The checkpoint on disk is damaged or from another spec; submit the spec again to start afresh."
    ),
    "out_of_memory": "Halve batch_size, or make the networks smaller; then submit again.",
    "trainer_killed": (
        "Something ended the trainer from outside, most often the system for lack of memory: "
        "halve batch_size, or give the worker more."
    ),
    "device_unavailable": "Ask for a device that the worker has (device: auto takes the best one).",
    "checkpoint_unreadable": "The checkpoint could not be read back; submit the spec again to start afresh.",
    "attempts_used_up": (
        "Its workers were lost too often. Look at the last attempt's host: memory, disk, whether it was shut down."
    ),
    "spec_invalid": "The worker runs another version than the service; install the same version on both.",
}
GENERAL_ADVICE = (
    "Read the end of the log below. The command “ganvas train” with the same spec shows the error at your own "
    "terminal, without a service."
)


def advise(code: str) -> str:
    """Return a sentence on what to try."""
    return ADVICE.get(code, GENERAL_ADVICE)
