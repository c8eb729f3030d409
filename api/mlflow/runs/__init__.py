"""Runs of MLflow as jobs: their params, tags, metrics and inputs, and the search over them."""
