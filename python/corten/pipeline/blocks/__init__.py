"""Blocks of code and async generators under a pipeline."""
