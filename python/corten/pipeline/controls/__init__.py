"""Handles by which a pipeline's policies are looked at and steered while it runs: one module a policy."""
