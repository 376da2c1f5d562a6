"""The resource: a server with its pool, and the commands that most services need."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
import redis.asyncio as driver
import redis.exceptions

from corten.clock import Clock
from corten_redis.errors import RedisError, RedisUnavailable, translate
from corten_redis.pool import Pool
from corten_redis.reachability import Reachability
from corten_redis.settings import RedisSettings

T = TypeVar("T")
TTL = float | timedelta | None
"""How long something is kept: seconds, a timedelta, or None for no end."""
CLOSE_LIMIT = 2.0


class RedisStatistics(msgspec.Struct, frozen=True):
    """The pool at one moment, and what happened so far."""

    up: bool
    """Whether the server is known to be there."""
    idle: int
    in_use: int
    waiting: int
    """Calls that wait for a connection."""
    max_connections: int
    commands: int
    failures: int
    """Commands that failed, because the server was away or refused them."""
    exhausted: int
    """Calls that waited for a connection in vain."""
    probes: int
    """Attempts to find out whether the server is there."""
    undecodable: int
    """Values that were there but not of the type that was asked for: they count as missing."""


class _Client(driver.Redis):
    """redis-py's client, which tells the pool what became of its commands."""

    commands = 0
    failures = 0

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.commands += 1
        try:
            return await cast("Any", super()).execute_command(*args, **options)
        except Exception as error:
            self.failures += 1
            cast("Pool", self.connection_pool).failed(error)
            raise


class Redis:
    """A Redis or Valkey server.

    The methods put the setting ``prefix`` before each key and raise

    - :class:`~corten_redis.RedisUnavailable`: the server is away (retryable); while this is known, at once
    - :class:`~corten.errors.PoolExhausted`: no connection came free in time
    - :class:`~corten_redis.RedisError`: the server refused the command

    :ivar client: redis-py's own client on the same pool, for all other commands; keys and errors are as redis-py has
        them, values are bytes
    """

    def __init__(self, pool: Pool, reachability: Reachability, settings: RedisSettings, name: str) -> None:
        self._client = _Client(connection_pool=pool)
        self.client: driver.Redis = self._client
        self.name = name
        self.prefix = settings.prefix
        self.address = settings.address()
        self.required = settings.required
        self.reachability = reachability
        self._pool = pool
        self._undecodable = 0
        self._execute = self._client.execute_command

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: RedisSettings,
        *,
        instance: str = "default",
        clock: Clock | None = None,
        on_change: Callable[[bool, str], object] = lambda _up, _reason: None,
    ) -> AsyncGenerator[Redis, None]:
        """Open the pool and check the server; leaving closes the pool.

        :param on_change: called with ``(False, reason)`` when the server is away, and ``(True, "")`` when it is back
        :raises RedisUnavailable: the server can't be reached and the setting ``required`` is on
        """
        name = f"redis {instance!r}"
        pool = Pool.made(settings, name=name, clock=clock or Clock())
        redis = cls(pool, pool.watch(settings.retry_interval, on_change), settings, name)
        try:
            try:
                await redis.ping()
            except RedisUnavailable as error:
                if settings.required:
                    raise RedisUnavailable(
                        f"{name}: cannot connect to {redis.address}: {error.__cause__ or error}; start it, correct "
                        "url, or set required = false to go on without"
                    ) from error
                redis.reachability.lost(str(error.__cause__ or error))
            yield redis
        finally:
            await redis.reachability.close()
            await redis._client.aclose()
            await pool.disconnect()

    async def ping(self) -> None:
        """Ask for a sign of life."""
        await self._run("PING")

    async def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None."""
        return cast("bytes | None", await self._run("GET", self.prefix + key))

    async def set(self, key: str, value: bytes, ttl: TTL = None) -> None:
        """Store a value, for a while or until it is deleted.

        :raises ValueError: the time to live is not more than zero
        """
        if ttl is None:
            await self._run("SET", self.prefix + key, value)
        else:
            await self._run("SET", self.prefix + key, value, "PX", _milliseconds(ttl))

    async def get_json(self, kind: type[T], key: str) -> T | None:
        """Return the value of a key as a ``kind``; None without a value, or if it is no ``kind``."""
        value = await self.get(key)
        if value is None:
            return None
        try:
            return msgspec.json.decode(value, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Another version of the program wrote it: what can't be read is not there.
            self._undecodable += 1
            return None

    async def set_json(self, key: str, value: object, ttl: TTL = None) -> None:
        """Store a value as JSON, with or without a time to live."""
        await self.set(key, msgspec.json.encode(value), ttl)

    async def delete(self, *keys: str) -> int:
        """Forget keys; how many there were."""
        if not keys:
            return 0
        return cast("int", await self._run("UNLINK", *(self.prefix + key for key in keys)))

    async def delete_matching(self, pattern: str) -> int:
        """Delete keys that match a pattern (``user:*``), a few hundred at a time; return their number."""
        dropped, cursor = 0, 0
        while True:
            answer = await self._run("SCAN", cursor, "MATCH", escaped(self.prefix) + pattern, "COUNT", 500)
            cursor, keys = int(answer[0]), answer[1]
            if keys:
                dropped += cast("int", await self._run("UNLINK", *keys))
            if cursor == 0:
                return dropped

    async def keys_matching(self, pattern: str) -> AsyncGenerator[str]:
        """Return the keys that match a pattern, without the prefix, a few hundred at a time.

        Keys that are added or deleted meanwhile may be missing or included; a key may come twice.
        """
        cursor = 0
        while True:
            answer = await self._run("SCAN", cursor, "MATCH", escaped(self.prefix) + pattern, "COUNT", 500)
            cursor = int(answer[0])
            for key in answer[1]:
                yield key.decode("utf-8", "surrogateescape").removeprefix(self.prefix)
            if cursor == 0:
                return

    async def run_script(self, script: str, keys: Sequence[str], arguments: Sequence[Any] = ()) -> Any:
        """Run a Lua script on the server, atomically, and return its result.

        The script is sent once, and then run by its hash.

        :param keys: ``KEYS`` of the script, before the prefix is added
        """
        rest = (len(keys), *(self.prefix + key for key in keys), *arguments)
        try:
            return await self._run("EVALSHA", _hash(script), *rest)
        except RedisError as error:
            if not isinstance(error.__cause__, redis.exceptions.NoScriptError):
                raise
        return await self._run("EVAL", script, *rest)

    def statistics(self) -> RedisStatistics:
        """The pool now, and what happened so far."""
        return RedisStatistics(
            up=self.reachability.up,
            idle=self._pool.idle,
            in_use=self._pool.in_use,
            waiting=self._pool.waiting,
            max_connections=self._pool.max_connections,
            commands=self._client.commands,
            failures=self._client.failures,
            exhausted=self._pool.exhausted,
            probes=self.reachability.probes,
            undecodable=self._undecodable,
        )

    async def _run(self, *words: Any) -> Any:
        try:
            return await self._execute(*words)
        except (redis.exceptions.RedisError, OSError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, redis.exceptions.RedisError):
                raise
            raise translate(error, self.name, self.address) from error


@cache
def _hash(script: str) -> str:
    """By which a server knows a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _milliseconds(ttl: float | timedelta) -> int:
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if seconds <= 0:
        raise ValueError(f"a time to live must be more than zero seconds, not {seconds:g}")
    return max(1, round(seconds * 1000))


def escaped(prefix: str) -> str:
    """Escape a prefix for use in a pattern."""
    return "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in prefix)
