"""Workers: registration, what they ask and report, and the queue."""
