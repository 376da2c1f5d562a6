"""Instruments and the registry that aggregates them."""
