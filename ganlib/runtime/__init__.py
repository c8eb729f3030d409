"""Where a run computes: device, threads, random streams, processes, files."""
