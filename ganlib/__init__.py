"""The training library: specs, networks, losses, techniques, data sets and the trainer.

`ganlib.spec.job`, `ganlib.events` and what they import are free of torch, so that the service and the
client can check a spec without it.
"""
