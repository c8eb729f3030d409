"""What a job's timeline shows: sample grids, neighbour grids, log lines, checkpoints."""
