"""One App's life: started once, held by a task of its own, stopped once.

On asyncio the App lives in a task that it makes itself, so that it may be entered and left in different tasks
(fixtures, ASGI lifespans). On trio, where every task has a parent, it lives in a nursery that is open from entering to
leaving, in the task that does both.
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
from corten.app.resources import KeptResource, Resources, named
from corten.errors import CortenError, described
from corten.event_loop import on_trio
from corten.events import PhaseFinished
from corten.pipeline.background import Background

if TYPE_CHECKING:
    import asyncio

    import anyio.abc

    from corten.app.app import App
    from corten.app.lifecycle.shutdown import ShutdownDeadline
    from corten.app.settings.reload import Reloading
    from corten.app.tasks.tasks import SupervisedTask
    from corten.cache.tier import CacheTier
    from corten.dead_letters.store import DeadLetterStore
    from corten.events.observer import Observer
    from corten.logs import LogSetup
    from corten.messages.source import MessageSource
    from corten.rate_limit.backend import LimiterBackend

_log = logging.getLogger("corten.app")

State = Literal["new", "starting", "running", "stopping", "stopped", "failed"]


class StoppedWhileStarting(CortenError):
    """Somebody asked the App to stop before it ran."""


class Lifecycle:
    """The state of one App, and the task that holds what it started."""

    def __init__(self, app: App[Any], dead_letters: DeadLetterStore) -> None:
        self._app = app
        self.name = app.name
        self.state: State = "new"
        self.failure: Exception | None = None
        """What made the App fail: the error of its start, or that of a task that gave up."""
        self.errors: list[Exception] = []
        """What went wrong while it stopped."""
        self.left_behind: list[str] = []
        """What did not end when it was cancelled."""
        self.tasks: list[SupervisedTask] = []
        self.tell_errors = app.errors.stop
        """Has the last errors told to those who want to know."""
        self.log_setup: LogSetup | None = None
        """What ``run`` has set up."""
        self.resources = Resources(app, self._resource_lost)
        self.background = Background()
        """What pipelines do that no caller waits for."""
        self.observers: tuple[Observer, ...] = ()
        self.tiers: Sequence[CacheTier] = ()
        self.limiters: Sequence[LimiterBackend] = ()
        self.sources: Mapping[str, MessageSource] = {}
        self.dead_letters = dead_letters
        self._is_up = False
        self._start_error: Exception | None = None
        self._stop_reason = ""
        self._pre_drain = False
        self._patience: ShutdownDeadline | None = None
        self._is_hurried = False
        self._pid = 0

    @cached_property
    def reloading(self) -> Reloading:
        """Reads the settings again while the App runs."""
        from corten.app.settings.reload import Reloading  # with all that only a running App needs

        return Reloading(self._app)

    # -- entering and leaving

    async def enter(self) -> None:
        """Start the App and come back when it runs.

        :raises CortenError: it was started before, or cannot start; nothing is left running then
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
        self._turned = anyio.Event()
        self._finished = anyio.Event()
        backend = _backend()
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
            await self._turned.wait()
        except anyio.get_cancelled_exc_class():
            self._hurry()
            self._start_scope.cancel()
            self.request_stop("start was cancelled")
            await self._ended()
            raise
        if not self._is_up:
            await self._ended()
            raise self._why_not_started()

    def _why_not_started(self) -> BaseException:
        error = self._start_error
        if error is None:
            error = StoppedWhileStarting(f"app {self.name!r} was asked to stop while it started")
        if self.errors:
            return ExceptionGroup(
                f"app {self.name!r} did not start, and not all of it could be undone", [error, *self.errors]
            )
        return error

    async def leave(self, body_error: BaseException | None) -> None:
        """Stop the App and come back when it has stopped.

        :raises ExceptionGroup: of all that went wrong meanwhile; where the body raised it gets notes instead
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
        """Wait until the App runs, or is not going to."""
        await self._turned.wait()

    async def stopped(self) -> None:
        """Stop, and wait until all phases are over; what was left behind may still be there."""
        self.request_stop("left")
        await self._finished.wait()

    async def _ended(self, body_error: BaseException | None = None) -> None:
        with anyio.CancelScope(shield=True):
            await self._finished.wait()
            if self._task is not None and not self.left_behind:
                import asyncio

                await asyncio.wait([self._task])
                if not self._task.cancelled() and (error := self._task.exception()) is not None:
                    raise error  # ours, not the user's: it must not vanish in a task that nobody awaits
        if self._group is not None:
            group, self._group = self._group, None
            try:
                await group.__aexit__(None, None, None)
            except BaseException:
                if body_error is None:
                    raise

    def request_stop(self, reason: str, *, pre_drain: bool = False) -> None:
        """Ask the App to stop; the first who asks decides whether there is a pre-drain delay."""
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
        if self._patience is not None:
            self._patience.hurry()

    # -- the task that holds everything

    async def _hold(self, backend: str) -> None:
        try:
            # The host's cancellation reaches the App through leaving, not from above: its body may still need us.
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as group:
                    await self._live(group, backend)
                    self._conclude()
                    group.cancel_scope.cancel()
        finally:
            self._conclude()

    async def _live(self, group: anyio.abc.TaskGroup, backend: str) -> None:
        from corten.app.lifecycle.startup import start  # with all that only a running App needs

        try:
            with self._start_scope:
                await start(self._app, group, backend)
        except Exception as error:  # noqa: BLE001 - raised to whoever starts the App, when all is undone
            self.failure = error
        # A task that is not restarted may have failed meanwhile.
        self._start_error = self.failure
        self._is_up = self.failure is None and not self._start_scope.cancelled_caught
        try:
            if self._is_up:
                self.state = "running"
                _log.info("app %s is running", self.name)
                self._turned.set()
                await self._stop_requested.wait()
        except anyio.get_cancelled_exc_class():
            self._hurry()
            await self._shut_down(group)
            raise
        await self._shut_down(group)

    async def _shut_down(self, group: anyio.abc.TaskGroup) -> None:
        from corten.app.lifecycle.shutdown import ShutdownDeadline, shut_down

        shutdown = internals_of(self._app).settings.shutdown
        self._patience = ShutdownDeadline(self._app.clock, shutdown.deadline)
        if self._is_hurried:
            self._patience.hurry()
        level = logging.INFO if self._start_error is None else logging.DEBUG
        _log.log(level, "app %s stops%s", self.name, f": {self._stop_reason}" if self._stop_reason else "")
        await shut_down(self, group, self._patience, shutdown.pre_drain if self._pre_drain else 0.0)

    def _conclude(self) -> None:
        if self._finished.is_set():
            return
        self.state = "stopped" if self.failure is None else "failed"
        for error in self.errors:
            _log.error("app %s: while stopping: %s", self.name, described(error))
        _log.log(logging.INFO if self._start_error is None else logging.DEBUG, "app %s has stopped", self.name)
        self._finished.set()
        self._turned.set()
        self.over.set()

    @contextmanager
    def phase(self, name: str) -> Generator[None, None, None]:
        """Log a phase and its time, and emit them."""
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
            else:  # undoing a start that failed: the error is what matters
                level = logging.INFO if self._start_error is None else logging.DEBUG
            shown = ": " + " ".join(words.split()) if words else ""
            _log.log(level, "app %s: phase %s: %.3f s%s", self.name, name, seconds, shown)
            self._app.events.emit(PhaseFinished(app=self.name, phase=name, seconds=seconds, error=words))

    # -- failing

    def _resource_lost(self, kept: KeptResource) -> None:
        why = "" if kept.error is None else f": {described(kept.error)}"
        error = kept.owned.broken(f"{named(kept.owned.key)} ended while the app was running{why}", kept.error)
        _log.error("app %s: %s", self.name, error, exc_info=kept.error)
        self.fail(error)

    def fail(self, error: Exception) -> None:
        """Something is lost for good: the App has failed, and whoever embeds it is not disturbed."""
        if self.failure is None:
            self.failure = error
        if self.state == "running":
            self.state = "failed"
            self.over.set()

    # -- processes

    def check_process(self) -> None:
        """:raises CortenError: this process was forked off the one in which the App was started."""
        if self._pid and self._pid != os.getpid():
            raise CortenError(self._forked())

    def _forked(self) -> str:
        return (
            f"app {self.name!r} was started in process {self._pid} and does not live through a fork:"
            f" start an App of its own in process {os.getpid()}, after the fork"
        )

    def forked(self) -> None:
        """In a child: let nothing be found."""
        self.resources.forget(self._forked())


_started: weakref.WeakSet[Lifecycle] = weakref.WeakSet()
_watching = False


def _watch_forks() -> None:
    global _watching  # noqa: PLW0603 - one hook a process, which cannot be taken back
    if not _watching and hasattr(os, "register_at_fork"):
        _watching = True
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for life in list(_started):
        life.forked()


def _backend() -> str:
    return "trio" if on_trio() else "asyncio"
