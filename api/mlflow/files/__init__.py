"""Artifacts of runs and logged models, and the pictures among them."""
