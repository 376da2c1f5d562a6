"""Background work of pipelines, in their App's task group."""

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
    """Runs jobs that no caller waits for.

    A job refreshes a cached result ahead of time, for example. The App cancels them before it closes its resources.

    :param max_jobs: jobs at a time; further ones are not taken
    """

    def __init__(self, max_jobs: int = 1_000) -> None:
        self._max_jobs = max_jobs
        self._group: anyio.abc.TaskGroup | None = None
        self._thread = 0
        self._scopes: set[anyio.CancelScope] = set()
        self._empty: anyio.Event | None = None

    @property
    def jobs(self) -> int:
        """The number of running jobs."""
        return len(self._scopes)

    def open(self, group: anyio.abc.TaskGroup) -> None:
        """Take jobs from this thread from now on."""
        self._group, self._thread = group, get_ident()

    def start(self, job: Callable[..., Awaitable[Any]], *arguments: Any) -> bool:
        """Begin a job with the caller's context variables; return whether it was taken.

        Its errors are logged.
        """
        if self._group is None or get_ident() != self._thread or len(self._scopes) >= self._max_jobs:
            return False
        # Added before its first step, so that closing also cancels a job that has not begun.
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        self._group.start_soon(self._run, scope, job, arguments)
        return True

    async def close(self) -> None:
        """Take no more jobs, cancel running ones, and wait for their end."""
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
            with scope, deadline.beyond():  # the call that began it does not wait for it
                await job(*arguments)
        except Exception:  # noqa: BLE001 - it must not end the App
            _log.exception("a background job of a pipeline failed")
        finally:
            self._scopes.discard(scope)
            if self._empty is not None and not self._scopes:
                self._empty.set()
