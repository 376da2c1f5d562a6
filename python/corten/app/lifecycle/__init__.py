"""The life of an App: start, run, shutdown."""
