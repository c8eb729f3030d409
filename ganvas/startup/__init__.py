"""The service on one machine: what answers before it is loaded, and what keeps service and worker running."""
