"""The Celery broker, and the waker that sends its messages."""
