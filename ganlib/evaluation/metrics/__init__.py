"""Metrics: pure functions of probabilities, features or images."""
