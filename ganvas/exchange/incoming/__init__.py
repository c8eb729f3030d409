"""One file for each form that runs come in; each finds the runs of a path and reads them as records."""
