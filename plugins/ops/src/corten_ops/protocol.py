"""uvicorn's HTTP protocol with further limits, against connections that hang.

uvicorn limits the size of a head and the pause between two requests, but neither the time to send a head or to read a
reply, nor the number of connections.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def bounded_protocol(*, max_connections: int, header_timeout: float, request_timeout: float) -> type[H11Protocol]:
    """Return a protocol with limits of time and of the number of connections.

    :param header_timeout: seconds to send a request's head, and to read the rest of a reply
    :param request_timeout: seconds from a request's head to the end of its reply
    """

    class BoundedProtocol(H11Protocol):
        """One connection."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.access_log = False
            self._limit: asyncio.TimerHandle | None = None
            self._busy = False
            self._refused = False

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            """Count the connection, and close it if there are too many."""
            assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
            if len(self.connections) >= max_connections:
                self._refused = True
                transport.abort()
                return
            super().connection_made(transport)
            self._arm(header_timeout)

        def data_received(self, data: bytes) -> None:
            """Start the request's time after a complete head."""
            if self._refused:
                return  # data that was on its way
            super().data_received(data)
            busy = self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]
            if busy and not self._busy:
                self._arm(request_timeout)
            self._busy = busy

        def on_response_complete(self) -> None:
            """Start the next head's time."""
            self._busy = False
            self._arm(header_timeout)
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            """Stop the time limit."""
            if self._limit is not None:
                self._limit.cancel()
            if not self._refused:
                super().connection_lost(exc)

        def _arm(self, seconds: float) -> None:
            if self._limit is not None:
                self._limit.cancel()
            self._limit = self.loop.call_later(seconds, self.transport.abort)

    return BoundedProtocol
