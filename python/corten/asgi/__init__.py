"""Apps in ASGI hosts, and ASGI applications served by an App."""

from corten.asgi.lifespan import lifespan
from corten.asgi.server import HttpServer, serve

__all__ = ["HttpServer", "lifespan", "serve"]
