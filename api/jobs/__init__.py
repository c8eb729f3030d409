"""Jobs: submission, search, lists, edits and retries."""
