"""Events: posts parsed, stored once in a log, projected into read models, streamed."""
