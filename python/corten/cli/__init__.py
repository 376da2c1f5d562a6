"""The corten command."""
