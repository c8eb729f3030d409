"""The pages that start a run."""
