"""Segments: the policies that the compiled core decides, awaited or blocked on."""
