"""Rate limiters as objects, for use without a pipeline."""
