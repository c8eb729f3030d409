"""The page of the queue and the workers."""
