"""Runs of any training loop: `ganvas.init()`, the folder that a run is on disk, and what sends it to a service."""
