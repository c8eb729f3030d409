"""Diagnosis: rules over a run's signals, their findings, the verdict and what to do about it (no torch)."""
