"""Statistics, metrics and events of a pipeline."""
