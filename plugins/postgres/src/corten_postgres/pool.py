"""A pool whose connections come back even if the borrower is cancelled and the server hangs.

It differs from asyncpg's own pool in two ways. A statement that is cancelled or times out ends at once for its caller,
while the pool resets the connection in the background: asyncpg's cancel request may wait for a server that hangs, so
it gets half a second before the connection is cut. And a connection that ran only single statements and transactions
of this plugin goes back without the round trip of a reset.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import msgspec

from corten.clock import Clock
from corten.deadline import at_most
from corten.errors import PoolExhausted, ResourceUnavailable
from corten_postgres.errors import ConnectionLost
from corten_postgres.opening import RawConnection

SETTLE_LIMIT: Final = 0.5
"""Seconds that a connection left in the middle of something has to come back to order."""
PING_LIMIT: Final = 1.0
"""Seconds that a connection has to show a sign of life."""

_SIGN_OF_LIFE: Final = "select"
_WAY_OUT: Final = "give connections back sooner, bound the callers, or raise max_size"


class PoolStatistics(msgspec.Struct, frozen=True):
    """A pool at one moment, and what happened to it so far."""

    size: int
    """Connections that are open or being opened."""
    idle: int
    in_use: int
    """Lent, being opened, or being put in order after a cancelled statement."""
    waiting: int
    """Calls that wait for a connection."""
    max_size: int
    opened: int
    recycled: int
    """Replaced because of their age."""
    lost: int
    """Found broken, broke while lent, or cut off because they did not come back to order."""
    exhausted: int
    """Calls that waited in vain."""


class Member:
    """A connection with the state that the pool keeps for it."""

    __slots__ = ("connection", "opened_at", "used_at")

    def __init__(self, connection: RawConnection, now: float) -> None:
        self.connection = connection
        self.opened_at = now
        self.used_at = now


class Pool:
    """Lends connections, the last one given back first.

    :param open_one: opens a connection; raises :class:`~corten_postgres.ConnectionLost`
    :param name: the resource, for people
    """

    def __init__(
        self,
        open_one: Callable[[], Awaitable[RawConnection]],
        *,
        name: str,
        clock: Clock,
        max_size: int,
        acquire_timeout: float,
        recycle: float = 0.0,
        pre_ping: float = 30.0,
    ) -> None:
        self._open_one = open_one
        self.name = name
        self._clock = clock
        self._now = clock.now
        self._max_size = max_size
        self._acquire_timeout = acquire_timeout
        self._recycle = recycle or float("inf")
        self._pre_ping = pre_ping
        self._idle: deque[Member] = deque()
        self._slots = max_size
        self._opening = 0
        self._waiters: deque[asyncio.Future[Member]] = deque()
        self._background: set[asyncio.Task[None]] = set()
        self._lent: set[Member] = set()
        self._emptied: asyncio.Event | None = None
        self._closed = False
        self._opened = self._recycled = self._lost = self._exhausted = 0

    async def open(self, count: int) -> None:
        """Open at least one connection, so that a wrong address shows at start.

        :raises ConnectionLost: the server can't be reached
        """
        self._slots -= 1
        self.give(await self._open_in_slot())  # at once: what is lent while this is cancelled holds the closing up
        others = [asyncio.ensure_future(self._open_in_slot()) for _ in range(self._reserve(count - 1))]
        # Those beyond the first may fail, for want of connections at the server, say: the pool goes on with fewer.
        found = await asyncio.gather(*others, return_exceptions=True)
        for member in found:
            if isinstance(member, Member):
                self.give(member)

    def take(self) -> Member | None:
        """Return a connection that is ready now, or None."""
        idle = self._idle
        while idle:
            member = idle[-1]
            if member.connection.is_closed():
                idle.pop()
                self._gone()
                continue
            now = self._now()
            if now - member.used_at >= self._pre_ping or now - member.opened_at >= self._recycle:
                return None
            idle.pop()
            self._lent.add(member)
            return member
        return None

    async def acquire(self, timeout: float | None = None) -> Member:
        """Wait for a living connection, within the caller's deadline.

        :raises PoolExhausted: none came free in time
        :raises ConnectionLost: none can be made, or the pool is closed
        """
        limit = at_most(self._acquire_timeout if timeout is None else timeout)
        with self._clock.move_on_after(limit):
            while True:
                member = await self._turn()
                if await self._is_fit(member):
                    return member
        raise self._too_late(limit)

    def give(self, member: Member) -> None:
        """Take back a connection that is in order."""
        if member.connection.is_closed():
            self.drop(member)
            return
        self._lent.discard(member)
        if self._closed:
            self._retire(member)
            self._free_slot()
            return
        member.used_at = self._now()
        self._to_idle(member)

    def settle(self, member: Member) -> None:
        """Take back a connection in any state; it is reset or cut in the background."""
        if self._closed or member.connection.is_closed():
            self.drop(member)
        else:
            self._spawn(self._settle(member))

    def drop(self, member: Member) -> None:
        """Cut a connection off; another one may be opened in its place."""
        self._lent.discard(member)
        member.connection.terminate()
        self._gone()

    async def close(self, timeout: float) -> None:
        """Wait for borrowed connections, close them, and cut the rest at the time limit."""
        self._closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._closed_error())
        self._waiters.clear()
        for member in self._idle:
            self._retire(member)
        self._idle.clear()
        try:
            async with asyncio.timeout(timeout):
                if self._lent:
                    self._emptied = asyncio.Event()
                    await self._emptied.wait()
                await asyncio.gather(*self._background, return_exceptions=True)
        except TimeoutError:
            pass  # what is left is cut off
        finally:
            for task in self._background:
                task.cancel()
            for member in tuple(self._lent):
                member.connection.terminate()

    def statistics(self) -> PoolStatistics:
        """The pool now, and what happened so far."""
        size = self._max_size - self._slots
        idle = len(self._idle)
        return PoolStatistics(
            size=size,
            idle=idle,
            in_use=size - idle,
            waiting=sum(not waiter.done() for waiter in self._waiters),
            max_size=self._max_size,
            opened=self._opened,
            recycled=self._recycled,
            lost=self._lost,
            exhausted=self._exhausted,
        )

    def _words(self) -> str:
        now = self.statistics()
        return f"{now.in_use} of {now.max_size} connections in use, {now.idle} idle, {now.waiting} calls waiting"

    def _too_late(self, limit: float) -> Exception:
        if self._opening:
            return ConnectionLost(f"{self.name}: the server gave no connection within {limit:.3g} s; {self._words()}")
        self._exhausted += 1
        return PoolExhausted(self.name, limit, self._words(), _WAY_OUT)

    def _closed_error(self) -> ResourceUnavailable:
        return ConnectionLost(f"{self.name}: the pool is closed")

    async def _turn(self) -> Member:
        """Wait in the queue and take a connection, which may have died or aged while idle."""
        if self._closed:
            raise self._closed_error()
        while self._idle:
            member = self._idle.pop()
            if not member.connection.is_closed():
                self._lent.add(member)
                return member
            self._gone()
        waiter: asyncio.Future[Member] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._grow()
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.done():
                waiter.cancel()
            elif not waiter.cancelled() and waiter.exception() is None:
                self.give(waiter.result())  # it was granted in the same moment: the next one shall have it
            raise

    def _grow(self) -> None:
        """Open connections for waiting callers while there is room.

        In the background, so that a caller that gives up leaves the connection to the next one. Otherwise a pool whose
        callers wait shorter than a connection takes would never have any.
        """
        if self._slots <= 0:
            return
        self._waiters = deque(waiter for waiter in self._waiters if not waiter.done())
        while self._slots > 0 and self._opening < len(self._waiters) and not self._closed:
            self._slots -= 1
            self._opening += 1
            self._spawn(self._open_for_waiter())

    async def _open_for_waiter(self) -> None:
        try:
            member = await self._open_in_slot()
        except ResourceUnavailable as error:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_exception(error)
                    break
        else:
            self.give(member)
        finally:
            self._opening -= 1
            self._grow()

    async def _is_fit(self, member: Member) -> bool:
        """Return whether a connection is young enough and alive; discard it otherwise."""
        now = self._now()
        if now - member.opened_at >= self._recycle:
            self._recycled += 1
            self._retire(member)
            self._free_slot()
            return False
        if now - member.used_at < self._pre_ping:
            return True
        try:
            await member.connection.execute(_SIGN_OF_LIFE, timeout=PING_LIMIT)
        except Exception:  # noqa: BLE001 - whatever it was, the connection is not fit to be lent
            self.drop(member)
            return False
        except BaseException:
            self.settle(member)
            raise
        return True

    async def _open_in_slot(self) -> Member:
        """Open a connection in a reserved slot; release the slot on failure."""
        try:
            connection = await self._open_one()
        except BaseException:
            self._free_slot()
            raise
        self._opened += 1
        member = Member(connection, self._now())
        self._lent.add(member)
        return member

    def _to_idle(self, member: Member) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._lent.add(member)
                waiter.set_result(member)
                return
        self._idle.append(member)
        self._note_empty()

    def _reserve(self, count: int) -> int:
        """Reserve up to ``count`` slots and return their number."""
        taken = max(0, min(count, self._slots))
        self._slots -= taken
        return taken

    def _free_slot(self) -> None:
        self._slots += 1
        self._note_empty()
        self._grow()

    def _gone(self) -> None:
        self._lost += 1
        self._free_slot()

    def _note_empty(self) -> None:
        if self._emptied is not None and not self._lent:
            self._emptied.set()

    def _retire(self, member: Member) -> None:
        self._lent.discard(member)
        connection = member.connection

        async def say_goodbye() -> None:
            try:
                await connection.close(timeout=SETTLE_LIMIT)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - it is being thrown away
                connection.terminate()

        self._spawn(say_goodbye())

    async def _settle(self, member: Member) -> None:
        connection = member.connection
        try:
            async with asyncio.timeout(SETTLE_LIMIT):
                # Whatever comes first waits for a cancel request under way; only after it the state is known for sure.
                await connection.execute("ROLLBACK" if connection.is_in_transaction() else _SIGN_OF_LIFE)
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
                await connection.reset()
        except BaseException as error:
            self.drop(member)
            if not isinstance(error, Exception):
                raise
        else:
            self.give(member)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
