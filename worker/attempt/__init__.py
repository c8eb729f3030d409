"""One claimed attempt: supervision, lease, delivery, result."""
