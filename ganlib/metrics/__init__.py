"""Metrics: pure functions of probabilities, features or images; which judge gave them is the caller's business."""
