"""Supervision: a task runs, is restarted with backoff when it fails, and gives up visibly when it fails too often."""

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
    """When a task that fails is started again, and when no longer."""

    max_failures: int = 10
    """So many failures within ``window`` are for good."""
    window: float = 300.0
    """Seconds for which a failure counts."""
    first_wait: float = 0.5
    """Seconds before the first restart; doubled by each failure that still counts."""
    longest_wait: float = 30.0

    def wait(self, failures: int, fraction: float) -> float:
        """Seconds to wait after so many failures; ``fraction`` (0 to 1) spreads them over the upper half.

        Half of the wait is random, so that many processes that failed together do not return together ("equal jitter",
        M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
        """
        longest: float = min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, 60))
        return longest * (0.5 + 0.5 * fraction)


class TaskStatistics(msgspec.Struct, frozen=True):
    """How a supervised task is."""

    name: str
    owner: str
    """The plugin it belongs to; ``app`` for the user's own."""
    phase: Phase
    state: TaskState
    restarts: int
    last_error: str = ""


class SupervisedTask:
    """One task under supervision.

    :param owner: the plugin it belongs to; ``app`` for the user's own
    :param on_failed: told when it failed for good
    :param count_restart: told of each restart
    :param on_error: told of each failure, with ``task`` and its name
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
        """What went wrong after it was asked to stop."""
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
        # A task that says when it is ready gets one attempt until then: the start is waiting for it.
        self._attempts_end = not task.restart or task.ready is not None

    def __str__(self) -> str:
        whose = "" if self.owner == "app" else f" of plugin {self.owner!r}"
        return f"task {self.task.name!r}{whose}"

    async def run(self) -> None:
        """Run and restart until it is done, stopped, or failed for good. Raises nothing but cancellation."""
        try:
            with self._scope:
                while not await self._run_once():
                    pass
        finally:
            if self.state in ("running", "restarting"):
                self.state = "stopped"
            self.done.set()

    async def _run_once(self) -> bool:
        """Whether that was the last time."""
        self.state = "running"
        try:
            await self.task.run()
        except Exception as error:  # noqa: BLE001 - that is what supervision is for
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
        trace = None if isinstance(error, CortenError) else error  # ours say all in their words
        now = self._clock.now()
        self._failures.append(now)
        while self._failures[0] <= now - self._rule.window:
            self._failures.popleft()
        if self._attempts_end or len(self._failures) >= self._rule.max_failures:
            self.state = "failed"
            _log.error("%s failed for good: %s", self, words, exc_info=trace)
            self._events.emit(TaskFailed(task=self.task.name, error=words))
            self._on_failed(error)
            return True
        import random

        self.restarts += 1
        delay = self._rule.wait(len(self._failures), random.random())  # noqa: S311 - spreading, no secret
        self.state = "restarting"
        _log.warning("%s failed and starts again in %.3g s: %s", self, delay, words, exc_info=trace)
        self._count_restart(self.task.name)
        self._events.emit(TaskRestarted(task=self.task.name, restarts=self.restarts, delay=delay, error=words))
        await self._clock.sleep(delay)
        return False

    async def until_ready(self) -> None:
        """Wait until it says that it is ready; at once where it has nothing to say.

        :raises Exception: what ``ready`` raised, or what ``run`` did meanwhile
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
        self._attempts_end = not self.task.restart

    async def ask_to_stop(self) -> None:
        """Have it end by itself, where it can; else cancel it. Does not wait for the end."""
        self._stopping = True
        try:
            if self.task.stop is None or self.state == "restarting":
                self._scope.cancel()
            elif not self.done.is_set():
                with self._ask_scope:
                    await self.task.stop()
        except Exception as error:  # noqa: BLE001 - collected with the other errors of unwinding
            self.stop_errors.append(error)
            self._scope.cancel()
        finally:
            self._asked.set()

    async def stopped(self) -> None:
        """Wait until it ended after :meth:`ask_to_stop`."""
        await self._asked.wait()
        await self.done.wait()

    @property
    def is_stopped(self) -> bool:
        """Whether it ended and nobody is asking it to any more."""
        return self._asked.is_set() and self.done.is_set()

    def cancel(self) -> None:
        """End it at its next await."""
        self._stopping = True
        self._ask_scope.cancel()
        self._scope.cancel()

    def statistics(self) -> TaskStatistics:
        """How it is now."""
        error = "" if self.error is None else f"{type(self.error).__name__}: {self.error}"
        return TaskStatistics(self.task.name, self.owner, self.task.phase, self.state, self.restarts, error)
