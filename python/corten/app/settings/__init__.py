"""Corten's own settings, and how an App reads them again."""
