"""One file for each form that runs go out in."""
