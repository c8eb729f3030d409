"""Judges: a classifier for each data set, trained once and kept, by whose answers samples are measured."""
