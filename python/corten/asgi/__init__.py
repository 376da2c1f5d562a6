"""Embedding in ASGI hosts, and serving ASGI applications."""

from corten.asgi.lifespan import lifespan
from corten.asgi.server import HttpServer, serve

__all__ = ["HttpServer", "lifespan", "serve"]
