"""Policies in order, compiled once and wrapped around callables."""
