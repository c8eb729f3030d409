"""Findings: what rules found in runs, the verdict on each run, and messages about both."""
