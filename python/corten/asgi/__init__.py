"""Embedding in ASGI hosts, and serving ASGI applications."""
