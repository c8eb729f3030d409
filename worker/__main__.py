"""`python -m worker` runs a worker."""

from worker.start import main

main()
