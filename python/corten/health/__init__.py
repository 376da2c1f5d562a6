"""Checks and the probes that group them."""
