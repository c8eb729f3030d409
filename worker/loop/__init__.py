"""The loop that finds and runs jobs."""
