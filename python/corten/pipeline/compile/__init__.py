"""Compiles policies into the layers and segments of a call."""
