"""Training: state, step, data, optimisers, checkpoints, and what a run records."""
