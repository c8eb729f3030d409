"""Move in and out: import runs of other trackers, export runs into their files."""
