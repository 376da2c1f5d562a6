"""Structured logging, set up only by an App that owns the process."""
