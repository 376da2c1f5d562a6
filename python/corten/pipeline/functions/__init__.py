"""Functions under a pipeline: signature, generated wrapper, short tracebacks."""
