"""Converts raw settings to typed ones."""
