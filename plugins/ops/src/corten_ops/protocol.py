"""Connections that can't be held open by doing nothing: uvicorn's HTTP protocol with limits of ours.

uvicorn bounds the head's size and the pause between two requests, not how long a client takes to send a head or to read
a reply, nor how many connections there are.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def bounded_protocol(*, max_connections: int, header_timeout: float, request_timeout: float) -> type[H11Protocol]:
    """A protocol whose connections end when they take too long, or are too many.

    :param header_timeout: seconds to send a request's head, and to read what is left of a reply
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
            """Count it, and let it go where there are too many."""
            assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
            if len(self.connections) >= max_connections:
                self._refused = True
                transport.abort()
                return
            super().connection_made(transport)
            self._arm(header_timeout)

        def data_received(self, data: bytes) -> None:
            """A head that is complete gives its request the whole time."""
            if self._refused:
                return  # it was on its way already
            super().data_received(data)
            busy = self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]
            if busy and not self._busy:
                self._arm(request_timeout)
            self._busy = busy

        def on_response_complete(self) -> None:
            """The next head has its own time."""
            self._busy = False
            self._arm(header_timeout)
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            """Nothing is left to end."""
            if self._limit is not None:
                self._limit.cancel()
            if not self._refused:
                super().connection_lost(exc)

        def _arm(self, seconds: float) -> None:
            if self._limit is not None:
                self._limit.cancel()
            self._limit = self.loop.call_later(seconds, self.transport.abort)

    return BoundedProtocol
