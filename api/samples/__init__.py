"""Records of a job's timeline: sample grids, neighbour grids, log lines, checkpoints."""
