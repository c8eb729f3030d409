"""`python -m worker` runs a worker."""

from worker.celery_app import main

main()
