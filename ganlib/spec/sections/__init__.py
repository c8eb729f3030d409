"""The sections of a job spec, one subject a file (no torch)."""
