"""Reads settings from files, the environment and arguments."""
