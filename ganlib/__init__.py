"""The training library: specs, networks, losses, techniques, data sets and the trainer.

`ganlib.spec`, `ganlib.events`, `ganlib.vocabulary` and all that they import load no PyTorch, so that the service
and the client can check a spec without it.
"""
