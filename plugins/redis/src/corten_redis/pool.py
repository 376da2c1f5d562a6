"""redis-py's pool with a queue for waiters, and without attempts while the server is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import redis.asyncio as driver
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from corten.clock import Clock
from corten.deadline import at_most
from corten.errors import CortenError, PoolExhausted
from corten_redis.errors import AWAY, Unreachable
from corten_redis.reachability import Reachability
from corten_redis.settings import RedisSettings


def connection_arguments(settings: RedisSettings) -> dict[str, Any]:
    """Arguments of every connection; the driver's own retries are off, since they take a minute."""
    return {
        "socket_timeout": settings.timeout,
        "socket_connect_timeout": settings.connect_timeout,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": settings.max_connections,
    }


class Pool(driver.ConnectionPool):
    """Lends connections; made by :meth:`made`, since redis-py wants its constructor for itself."""

    _reachability: Reachability
    _clock: Clock
    _name: str
    _acquire_timeout: float
    _waiters: deque[asyncio.Future[None]]
    exhausted: int
    """Calls that waited for a connection in vain."""

    @classmethod
    def made(cls, settings: RedisSettings, *, name: str, clock: Clock) -> Pool:
        """A pool for the settings' address.

        :raises ValueError: the url can't be understood
        """
        url = "redis://localhost:6379/0" if settings.url is None else settings.url.reveal()
        # Partly typed only, as is much of redis-py's pool.
        pool: Pool = cast("Any", cls).from_url(url, **connection_arguments(settings))
        pool._clock = clock
        pool._name = name
        pool._acquire_timeout = settings.acquire_timeout
        pool._waiters = deque()
        pool.exhausted = 0
        return pool

    def watch(self, interval: float, on_change: Callable[[bool, str], object]) -> Reachability:
        """Begin to know whether the server is there."""
        self._reachability = Reachability(self._reach, clock=self._clock, interval=interval, on_change=on_change)
        return self._reachability

    async def get_connection(self, command_name: object = None, *keys: Any, **options: Any) -> Any:  # noqa: ARG002
        """Lend a connection that is connected.

        :raises Unreachable: the server is known to be away
        :raises PoolExhausted: none came free in time
        """
        reachability = self._reachability
        if not reachability.up:
            raise Unreachable(f"{self._name} is away: {reachability.reason}")
        if self._waiters or not self.can_get_connection():
            await self._turn()
        connection: Any = cast("Any", self).get_available_connection()
        try:
            await self.ensure_connection(connection)
        except AWAY as error:
            reachability.lost(str(error) or type(error).__name__)
            await self.release(connection)
            raise
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        """Take a connection back and wake the next waiter."""
        try:
            await super().release(connection)
        finally:
            self._wake()

    def failed(self, error: Exception) -> None:
        """Learn from what became of a command."""
        if isinstance(error, AWAY) and not isinstance(error, Unreachable | CortenError):
            # A slow command, or one connection that broke: a probe tells whether it was the server.
            self._reachability.suspect()

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""
        return sum(not waiter.done() for waiter in self._waiters)

    @property
    def in_use(self) -> int:
        """How many connections are lent."""
        return len(self._in_use_connections)

    @property
    def idle(self) -> int:
        """How many connections are not lent."""
        return len(self._available_connections)

    async def _turn(self) -> None:
        limit = at_most(self._acquire_timeout)
        deadline = self._clock.now() + limit
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        with self._clock.move_on_at(deadline):
            try:
                while True:
                    await waiter
                    if self.can_get_connection():
                        return
                    waiter = asyncio.get_running_loop().create_future()  # somebody quicker took it
                    self._waiters.appendleft(waiter)
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # it was woken in the same moment: the next one shall have the turn
                waiter.cancel()
                raise
        raise self._too_late(limit)

    def _too_late(self, limit: float) -> PoolExhausted:
        self.exhausted += 1
        state = f"{self.in_use} of {self.max_connections} connections in use, {self.waiting} calls waiting"
        return PoolExhausted(self._name, limit, state, "bound the callers, or raise max_connections")

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _reach(self) -> None:
        """Connect and ping on a separate connection."""
        connection: Any = cast("Any", self).make_connection()
        try:
            await connection.connect()
            await connection.send_command("PING")
            await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)
