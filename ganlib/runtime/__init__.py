"""The computing environment of a run: device, threads, random streams, processes, files."""
