"""Typed settings from files, environment, secrets and arguments."""
