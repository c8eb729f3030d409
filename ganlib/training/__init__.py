"""Training: state, step, data, optimisers, checkpoints."""
