"""Recording of a run: metrics, sample grids, histograms, checkpoints, its folder."""
