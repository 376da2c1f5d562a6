"""Supervision: tasks that fail restart with backoff; repeated failure fails the App."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Literal

import anyio
import msgspec

from corten.clock import Clock
from corten.errors import CortenError
from corten.events import Events, TaskFailed, TaskRestarted
from corten.plugins.descriptions import Phase, Task

_log = logging.getLogger("corten.app")

TaskState = Literal["waiting", "running", "restarting", "finished", "stopped", "failed"]


class Restarts(msgspec.Struct, frozen=True):
    """How often, and after how long, a failed task restarts."""

    max_failures: int = 10
    """Failures within ``window`` after which the task has failed for good."""
    window: float = 300.0
    """Seconds for which a failure counts."""
    initial_backoff: float = 0.5
    """Seconds before the first restart; doubled by each further failure within ``window``."""
    max_backoff: float = 30.0

    def backoff(self, failures: int, fraction: float) -> float:
        """Return seconds to wait after a number of failures.

        Half of the wait is random, so that processes that failed together do not return together ("equal jitter",
        M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
        """
        longest: float = min(self.max_backoff, self.initial_backoff * 2.0 ** min(failures - 1, 60))
        return longest * (0.5 + 0.5 * fraction)


class TaskStatistics(msgspec.Struct, frozen=True):
    """State of a supervised task."""

    name: str
    owner: str
    """The plugin that brought the task; ``app`` for tasks added in code."""
    phase: Phase
    state: TaskState
    restarts: int
    last_error: str = ""


class SupervisedTask:
    """One task under supervision.

    :param owner: the plugin that brought the task; ``app`` for tasks added in code
    :param on_failed: called with the error when the task has failed for good
    :param count_restart: called with the task's name on each restart
    :param on_error: called with ``task NAME`` and the error on each failure
    """

    def __init__(
        self,
        task: Task,
        owner: str,
        *,
        clock: Clock,
        events: Events,
        restarts: Restarts,
        on_failed: Callable[[Exception], None],
        count_restart: Callable[[str], None] = lambda _: None,
        on_error: Callable[[str, Exception], object] = lambda _name, _error: None,
    ) -> None:
        self.task = task
        self.owner = owner
        self.state: TaskState = "waiting"
        self.restarts = 0
        self.error: Exception | None = None
        """The last failure."""
        self.stop_errors: list[Exception] = []
        """Errors after the request to stop."""
        self.done = anyio.Event()
        self._asked = anyio.Event()
        self._scope = anyio.CancelScope()
        self._ask_scope = anyio.CancelScope()
        self._stopping = False
        self._clock = clock
        self._events = events
        self._rule = restarts
        self._on_failed = on_failed
        self._count_restart = count_restart
        self._on_error = on_error
        self._failures: deque[float] = deque()
        # A task with `ready` gets one attempt until it is ready: the App's start waits for it.
        self._first_failure_is_final = not task.restart or task.ready is not None

    def __str__(self) -> str:
        whose = "" if self.owner == "app" else f" of plugin {self.owner!r}"
        return f"task {self.task.name!r}{whose}"

    async def run(self) -> None:
        """Run and restart until done, stopped or failed; raise no error."""
        try:
            with self._scope:
                while not await self._run_once():
                    pass
        finally:
            if self.state in ("running", "restarting"):
                self.state = "stopped"
            self.done.set()

    async def _run_once(self) -> bool:
        """Run once; return whether that was the last run."""
        self.state = "running"
        try:
            await self.task.run()
        except Exception as error:  # noqa: BLE001 - supervision handles every error
            self.error = error
            return await self._after(error)
        self.state = "stopped" if self._stopping else "finished"
        return True

    async def _after(self, error: Exception) -> bool:
        words = f"{type(error).__name__}: {error}"
        self._on_error(f"task {self.task.name}", error)
        if self._stopping:
            self.stop_errors.append(error)
            self.state = "stopped"
            return True
        trace = None if isinstance(error, CortenError) else error  # our errors need no traceback
        now = self._clock.now()
        self._failures.append(now)
        while self._failures[0] <= now - self._rule.window:
            self._failures.popleft()
        if self._first_failure_is_final or len(self._failures) >= self._rule.max_failures:
            self.state = "failed"
            _log.error("%s failed for good: %s", self, words, exc_info=trace)
            self._events.emit(TaskFailed(task=self.task.name, error=words))
            self._on_failed(error)
            return True
        import random

        self.restarts += 1
        delay = self._rule.backoff(len(self._failures), random.random())  # noqa: S311 - spreading, no secret
        self.state = "restarting"
        _log.warning("%s failed and starts again in %.3g s: %s", self, delay, words, exc_info=trace)
        self._count_restart(self.task.name)
        self._events.emit(TaskRestarted(task=self.task.name, restarts=self.restarts, delay=delay, error=words))
        await self._clock.sleep(delay)
        return False

    async def until_ready(self) -> None:
        """Wait until the task is ready; at once without a ``ready``.

        :raises Exception: the error of ``ready``, or of ``run`` meanwhile
        """
        if self.task.ready is None:
            return
        problem: Exception | None = None
        ready = False
        async with anyio.create_task_group() as group:

            async def give_up_when_done() -> None:
                await self.done.wait()
                group.cancel_scope.cancel()

            group.start_soon(give_up_when_done)
            try:
                await self.task.ready()
                ready = True
            except Exception as error:  # noqa: BLE001 - raised below, out of the group
                problem = error
            group.cancel_scope.cancel()
        if self.error is not None:
            raise self.error
        if problem is not None:
            raise problem
        if not ready:
            raise RuntimeError(f"{self} ended before it was ready")
        self._first_failure_is_final = not self.task.restart

    async def ask_to_stop(self) -> None:
        """Call the task's ``stop``, or cancel it; return before its end."""
        self._stopping = True
        try:
            if self.task.stop is None or self.state == "restarting":
                self._scope.cancel()
            elif not self.done.is_set():
                with self._ask_scope:
                    await self.task.stop()
        except Exception as error:  # noqa: BLE001 - reported with the other errors of the shutdown
            self.stop_errors.append(error)
            self._scope.cancel()
        finally:
            self._asked.set()

    async def stopped(self) -> None:
        """Wait until the task has ended after :meth:`ask_to_stop`."""
        await self._asked.wait()
        await self.done.wait()

    @property
    def is_stopped(self) -> bool:
        """Whether the task has ended, and its ``stop`` has returned."""
        return self._asked.is_set() and self.done.is_set()

    def cancel(self) -> None:
        """Cancel the task at its next await."""
        self._stopping = True
        self._ask_scope.cancel()
        self._scope.cancel()

    def statistics(self) -> TaskStatistics:
        """Return the state now."""
        error = "" if self.error is None else f"{type(self.error).__name__}: {self.error}"
        return TaskStatistics(self.task.name, self.owner, self.task.phase, self.state, self.restarts, error)
