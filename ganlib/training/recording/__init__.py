"""What a run records: sample grids, histograms, checkpoints, its folder."""
