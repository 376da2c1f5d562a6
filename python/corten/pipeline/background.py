"""Work that no caller waits for: in an App's task group, ended before its resources close."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any

import anyio

from corten import deadline

if TYPE_CHECKING:
    import anyio.abc

_log = logging.getLogger("corten.pipeline")


class Background:
    """What an App lends its pipelines: a place for work such as refreshing a cached result ahead of time.

    :param most: jobs at a time; beyond that whoever has one does it himself, or leaves it
    """

    def __init__(self, most: int = 1_000) -> None:
        self._most = most
        self._group: anyio.abc.TaskGroup | None = None
        self._thread = 0
        self._scopes: set[anyio.CancelScope] = set()
        self._empty: anyio.Event | None = None

    @property
    def jobs(self) -> int:
        """How many are under way."""
        return len(self._scopes)

    def open(self, group: anyio.abc.TaskGroup) -> None:
        """Take jobs from now on, from this thread."""
        self._group, self._thread = group, get_ident()

    def start(self, job: Callable[..., Awaitable[Any]], *arguments: Any) -> bool:
        """Begin a job, with the caller's context variables; whether it was taken. What it raises is logged."""
        if self._group is None or get_ident() != self._thread or len(self._scopes) >= self._most:
            return False
        # Known from now on, not from its first step, so that closing cancels it also when it has not begun.
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        self._group.start_soon(self._run, scope, job, arguments)
        return True

    async def close(self) -> None:
        """Take no more, cancel what is under way, and wait until that has ended."""
        self._group = None
        for scope in self._scopes:
            scope.cancel()
        if self._scopes:
            self._empty = anyio.Event()
            await self._empty.wait()

    async def _run(
        self, scope: anyio.CancelScope, job: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]
    ) -> None:
        try:
            with scope, deadline.beyond():  # whoever began it does not wait for it
                await job(*arguments)
        except Exception:  # noqa: BLE001 - it must not end the App
            _log.exception("what a pipeline did in the background failed")
        finally:
            self._scopes.discard(scope)
            if self._empty is not None and not self._scopes:
                self._empty.set()
