"""A connection lent to one borrower, and transactions on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import asyncpg

from corten_postgres.errors import is_loss, translate
from corten_postgres.opening import RawConnection
from corten_postgres.pool import SETTLE_LIMIT
from corten_postgres.queries import Queries, changes_session

Isolation = Literal["read committed", "repeatable read", "serializable"]

_ISOLATIONS: Final = frozenset({"read committed", "repeatable read", "serializable"})


def begin(isolation: Isolation | None, *, read_only: bool, deferrable: bool) -> str:
    """The statement that begins a transaction.

    :raises ValueError: there is no such isolation level
    """
    words = ["BEGIN"]
    if isolation is not None:
        if isolation not in _ISOLATIONS:
            raise ValueError(f"there is no isolation level {isolation!r}; there are {', '.join(sorted(_ISOLATIONS))}")
        words.append(f"ISOLATION LEVEL {isolation.upper()}")
    if read_only:
        words.append("READ ONLY")
    if deferrable:
        words.append("DEFERRABLE")
    return " ".join(words)


class Connection(Queries):
    """One connection, whose statements run one after the other, inside of its ``async with``.

    :ivar raw: asyncpg's connection, for LISTEN, cursors, large objects and other features without a method here
    """

    def __init__(self, raw: RawConnection, name: str, command_timeout: float) -> None:
        self.raw = raw
        self.name = name
        self._command_timeout = command_timeout
        self._depth = 0
        self._undo: str | None = None
        self.in_order = True
        """False if a statement was cancelled, timed out or lost, or changed the session: the connection is reset before
        another caller gets it."""

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation | None = None, read_only: bool = False, deferrable: bool = False
    ) -> AsyncGenerator[Connection, None]:
        """Commit the statements of the block, or roll them back on an error or a cancellation.

        Inside another transaction this is a savepoint, without an isolation level of its own.

        :raises ConnectionLost: also during the commit, with ``outcome_unknown``: it may have succeeded
        """
        self._depth += 1
        name = f"corten_{self._depth}"
        outer = self._depth == 1
        try:
            await self._run(
                "execute",
                begin(isolation, read_only=read_only, deferrable=deferrable) if outer else f"SAVEPOINT {name}",
            )
            undo = "ROLLBACK" if outer else f"ROLLBACK TO SAVEPOINT {name}"
            try:
                yield self
            except Exception:
                if not self.raw.is_closed():
                    await self._run("execute", undo, timeout=SETTLE_LIMIT)
                raise
            except BaseException:
                # Cancelled: nothing may be awaited now. Whoever uses the connection next rolls back first.
                self._undo = undo
                self.in_order = False
                raise
            await self._run("execute", "COMMIT" if outer else f"RELEASE SAVEPOINT {name}")
        finally:
            self._depth -= 1

    async def _run(self, verb: str, sql: str, /, *arguments: Any, **options: Any) -> Any:
        try:
            if self._undo is not None:
                undo, self._undo = self._undo, None
                await self.raw.execute(undo)
            result = await getattr(self.raw, verb)(sql, *arguments, **options)
        except Exception as error:
            closed = self.raw.is_closed()
            seconds = options.get("timeout") or self._command_timeout
            told = translate(error, self.name, sql, closed=closed, seconds=seconds)
            if is_loss(error, closed=closed) or not isinstance(error, asyncpg.PostgresError):
                self.in_order = False
            if told is error:
                raise
            raise told from error
        except BaseException:
            self.in_order = False
            raise
        if verb == "execute" and result != "BEGIN" and changes_session(sql, result):
            self.in_order = False
        return result
