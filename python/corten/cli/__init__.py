"""The command ``corten``."""

from corten.cli.entry_point import main

__all__ = ["main"]
