"""Lifecycle: an App starts once, runs in its own task, stops once.

On asyncio the App makes that task itself, so that one task may enter the App and another leave it (fixtures, ASGI
lifespans). On trio every task has a parent: a nursery stays open from entering to leaving, in one task.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import anyio

from corten.app.internals import internals_of
from corten.app.resources import OpenResource, Resources, named
from corten.errors import CortenError, described
from corten.event_loop import on_trio
from corten.events import PhaseFinished
from corten.pipeline.background import Background

if TYPE_CHECKING:
    import asyncio

    import anyio.abc

    from corten.app.app import App
    from corten.app.lifecycle.shutdown import ShutdownDeadline
    from corten.app.settings.reload import Reloader
    from corten.app.tasks.supervision import SupervisedTask
    from corten.cache import CacheTier
    from corten.dead_letters.store import DeadLetterStore
    from corten.events.observer import Observer
    from corten.logs import LogSetup
    from corten.messages.source import MessageSource
    from corten.rate_limit import LimiterBackend

_log = logging.getLogger("corten.app")

State = Literal["new", "starting", "running", "stopping", "stopped", "failed"]


class StoppedWhileStarting(CortenError):
    """The App was asked to stop before it ran."""


class Lifecycle:
    """The state of an App, and the task that holds everything started."""

    def __init__(self, app: App[Any], dead_letters: DeadLetterStore) -> None:
        self._app = app
        self.name = app.name
        self.state: State = "new"
        self.failure: Exception | None = None
        """The error that made the App fail: at its start, or of a task that failed for good."""
        self.errors: list[Exception] = []
        """The errors of its shutdown."""
        self.left_behind: list[str] = []
        """Tasks and resources that did not end when they were cancelled."""
        self.tasks: list[SupervisedTask] = []
        self.deliver_last_errors = app.errors.stop
        self.log_setup: LogSetup | None = None
        """The logging that ``run`` has set up."""
        self.resources = Resources(app, self._resource_lost)
        self.background = Background()
        """Work of pipelines that no caller waits for."""
        self.observers: tuple[Observer, ...] = ()
        self.tiers: Sequence[CacheTier] = ()
        self.limiters: Sequence[LimiterBackend] = ()
        self.sources: Mapping[str, MessageSource] = {}
        self.dead_letters = dead_letters
        self._is_up = False
        self._start_error: Exception | None = None
        self._stop_reason = ""
        self._pre_drain = False
        self._deadline: ShutdownDeadline | None = None
        self._is_hurried = False
        self._pid = 0

    @cached_property
    def reloader(self) -> Reloader:
        """Reloads the settings while the App runs."""
        from corten.app.settings.reload import Reloader  # only a running App needs it

        return Reloader(self._app)

    # -- entering and leaving

    async def enter(self) -> None:
        """Start the App; return when it runs.

        :raises CortenError: it was started before, or cannot start; then nothing is left running
        """
        if self.state != "new":
            raise CortenError(f"app {self.name!r} was started before: an App lives once, make a new one")
        self.state = "starting"
        self._pid = os.getpid()
        _started.add(self)
        _watch_forks()
        self.over = anyio.Event()
        self._start_scope = anyio.CancelScope()
        self._stop_requested = anyio.Event()
        self._start_ended = anyio.Event()
        self._finished = anyio.Event()
        backend = "trio" if on_trio() else "asyncio"
        self._group: anyio.abc.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None
        if backend == "asyncio":
            import asyncio

            self._task = asyncio.get_running_loop().create_task(self._hold(backend), name=f"app {self.name}")
        else:
            self._group = anyio.create_task_group()
            await self._group.__aenter__()
            self._group.start_soon(self._hold, backend, name=f"app {self.name}")
        try:
            await self._start_ended.wait()
        except anyio.get_cancelled_exc_class():
            self._hurry()
            self._start_scope.cancel()
            self.request_stop("start was cancelled")
            await self._ended()
            raise
        if not self._is_up:
            await self._ended()
            raise self._start_failure()

    def _start_failure(self) -> BaseException:
        error = self._start_error
        if error is None:
            error = StoppedWhileStarting(f"app {self.name!r} was asked to stop while it started")
        if self.errors:
            return ExceptionGroup(
                f"app {self.name!r} did not start, and not all of it could be undone", [error, *self.errors]
            )
        return error

    async def leave(self, body_error: BaseException | None) -> None:
        """Stop the App; return when it has stopped.

        :param body_error: the error of the ``async with`` block; errors of stopping become its notes
        :raises ExceptionGroup: the errors of stopping, if there is no ``body_error``
        """
        self.check_process()
        self.request_stop("left")
        try:
            await self._finished.wait()
        except anyio.get_cancelled_exc_class():
            self._hurry()
            await self._ended()
            raise
        await self._ended(body_error)
        if not self.errors:
            return
        if body_error is None:
            raise ExceptionGroup(f"errors while app {self.name!r} stopped", self.errors)
        for error in self.errors:
            body_error.add_note(f"and while app {self.name!r} stopped: {described(error)}")

    async def started(self) -> None:
        """Wait until the start has succeeded or failed."""
        await self._start_ended.wait()

    async def stopped(self) -> None:
        """Stop, and wait until all phases are over."""
        self.request_stop("left")
        await self._finished.wait()

    async def _ended(self, body_error: BaseException | None = None) -> None:
        with anyio.CancelScope(shield=True):
            await self._finished.wait()
            if self._task is not None and not self.left_behind:
                import asyncio

                await asyncio.wait([self._task])
                if not self._task.cancelled() and (error := self._task.exception()) is not None:
                    raise error  # an error of ours must not vanish in a task without a waiter
        if self._group is not None:
            group, self._group = self._group, None
            try:
                await group.__aexit__(None, None, None)
            except BaseException:
                if body_error is None:
                    raise

    def request_stop(self, reason: str, *, pre_drain: bool = False) -> None:
        """Ask the App to stop; only the first call has an effect.

        :param pre_drain: whether the shutdown begins with the pre-drain delay
        """
        if self.state in ("new", "stopped") or self._stop_requested.is_set():
            return
        self._stop_reason = reason
        self._pre_drain = pre_drain
        self._stop_requested.set()
        self.over.set()
        if self.state == "starting":
            self._start_scope.cancel()

    def _hurry(self) -> None:
        self._is_hurried = True
        if self._deadline is not None:
            self._deadline.hurry()

    # -- the App's own task

    async def _hold(self, backend: str) -> None:
        try:
            # The host's cancellation must not reach the App before its block has ended: the block may still use it.
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as group:
                    await self._live(group, backend)
                    self._conclude()
                    group.cancel_scope.cancel()
        finally:
            self._conclude()

    async def _live(self, group: anyio.abc.TaskGroup, backend: str) -> None:
        from corten.app.lifecycle.startup import start  # only a running App needs it

        try:
            with self._start_scope:
                await start(self._app, group, backend)
        except Exception as error:  # noqa: BLE001 - raised to the caller when all is undone
            self.failure = error
        # A task that is not restarted may have failed meanwhile.
        self._start_error = self.failure
        self._is_up = self.failure is None and not self._start_scope.cancelled_caught
        try:
            if self._is_up:
                self.state = "running"
                _log.info("app %s is running", self.name)
                self._start_ended.set()
                await self._stop_requested.wait()
        except anyio.get_cancelled_exc_class():
            self._hurry()
            await self._shut_down(group)
            raise
        await self._shut_down(group)

    async def _shut_down(self, group: anyio.abc.TaskGroup) -> None:
        from corten.app.lifecycle.shutdown import ShutdownDeadline, shut_down

        shutdown = internals_of(self._app).settings.shutdown
        self._deadline = ShutdownDeadline(self._app.clock, shutdown.deadline)
        if self._is_hurried:
            self._deadline.hurry()
        level = logging.INFO if self._start_error is None else logging.DEBUG
        _log.log(level, "app %s stops%s", self.name, f": {self._stop_reason}" if self._stop_reason else "")
        await shut_down(self, group, self._deadline, shutdown.pre_drain if self._pre_drain else 0.0)

    def _conclude(self) -> None:
        if self._finished.is_set():
            return
        self.state = "stopped" if self.failure is None else "failed"
        for error in self.errors:
            _log.error("app %s: while stopping: %s", self.name, described(error))
        _log.log(logging.INFO if self._start_error is None else logging.DEBUG, "app %s has stopped", self.name)
        self._finished.set()
        self._start_ended.set()
        self.over.set()

    @contextmanager
    def phase(self, name: str) -> Generator[None, None, None]:
        """Log a phase with its time, and emit an event."""
        began = self._app.clock.now()
        errors = len(self.errors)
        words = ""
        try:
            yield
        except Exception as error:
            words = described(error)
            raise
        except BaseException:
            words = "cancelled"
            raise
        finally:
            seconds = self._app.clock.now() - began
            words = words or "; ".join(described(error) for error in self.errors[errors:])
            if words not in ("", "cancelled"):
                level = logging.ERROR
            else:  # undoing a failed start: its error matters, not the phases
                level = logging.INFO if self._start_error is None else logging.DEBUG
            shown = ": " + " ".join(words.split()) if words else ""
            _log.log(level, "app %s: phase %s: %.3f s%s", self.name, name, seconds, shown)
            self._app.events.emit(PhaseFinished(app=self.name, phase=name, seconds=seconds, error=words))

    # -- failing

    def _resource_lost(self, resource: OpenResource) -> None:
        why = "" if resource.error is None else f": {described(resource.error)}"
        error = resource.owned.error(
            f"{named(resource.owned.key)} ended while the app was running{why}", resource.error
        )
        _log.error("app %s: %s", self.name, error, exc_info=resource.error)
        self.fail(error)

    def fail(self, error: Exception) -> None:
        """Mark the App as failed; an embedding program continues."""
        if self.failure is None:
            self.failure = error
        if self.state == "running":
            self.state = "failed"
            self.over.set()

    # -- processes

    def check_process(self) -> None:
        """Check that this process has started the App.

        :raises CortenError: this process was forked after the start
        """
        if self._pid and self._pid != os.getpid():
            raise CortenError(self._forked())

    def _forked(self) -> str:
        return (
            f"app {self.name!r} was started in process {self._pid} and does not survive a fork:"
            f" start an App of its own in process {os.getpid()}, after the fork"
        )

    def forked(self) -> None:
        """In a forked process: make :meth:`Resources.get` raise."""
        self.resources.forget(self._forked())


_started: weakref.WeakSet[Lifecycle] = weakref.WeakSet()
_watching = False


def _watch_forks() -> None:
    global _watching  # noqa: PLW0603 - one hook for the process, which cannot be removed
    if not _watching and hasattr(os, "register_at_fork"):
        _watching = True
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for life in list(_started):
        life.forked()
