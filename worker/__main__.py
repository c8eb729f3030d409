"""`python -m worker` runs a worker."""

from worker.main import main

main()
