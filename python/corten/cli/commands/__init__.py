"""The commands of ``corten``, one module each."""
