"""Health, Prometheus, logging, availability."""
