"""The classifier of each data set by whose answers samples are measured, trained once and kept."""
