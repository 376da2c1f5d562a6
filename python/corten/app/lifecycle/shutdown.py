"""Shutdown: phases within one deadline.

Not ready, pre-drain delay, intake stops, work drains, telemetry flushes, resources close in reverse. Each phase ends at
a fraction of the time at the latest, so that a phase that hangs leaves time to the later phases.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from corten.app.tasks.supervision import SupervisedTask
from corten.clock import Clock
from corten.errors import DeadlineExceeded
from corten.plugins.descriptions import Phase

if TYPE_CHECKING:
    import anyio.abc

    from corten.app.lifecycle.lifecycle import Lifecycle

_log = logging.getLogger("corten.app")

PHASE_ENDS: dict[Phase, float] = {"intake": 0.4, "work": 0.7, "flush": 0.8}
"""The fraction of the time at which a phase ends; resources have the rest."""

HURRIED_SECONDS = 2.0
"""The most seconds of a shutdown after its caller was cancelled."""


class ShutdownDeadline:
    """The deadline of a shutdown; can be brought forward while it runs."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.begun = clock.now()
        self.ends_at = self.begun + seconds
        self.grace = min(0.5, 0.05 * seconds)
        """Seconds in which cancelled work has to end."""
        self._scopes: list[anyio.CancelScope] = []
        self._hurried = False

    def drain_begins(self) -> None:
        """Measure the fractions from now on."""
        self.begun = self.clock.now()

    def end_of(self, phase: Phase) -> float:
        """Return the moment at which a phase ends."""
        return self.begun + PHASE_ENDS[phase] * (self.ends_at - self.begun)

    @contextmanager
    def until(self, moment: float) -> Generator[None, None, None]:
        """Cancel the block at a moment, or on :meth:`hurry`."""
        with self.clock.move_on_at(moment) as scope:
            self._scopes.append(scope)
            if self._hurried:
                scope.cancel()
            try:
                yield
            finally:
                self._scopes.remove(scope)

    def hurry(self) -> None:
        """Bring the deadline forward: cancel work in flight, then close."""
        self._hurried = True
        self.ends_at = min(self.ends_at, self.clock.now() + HURRIED_SECONDS)
        self.grace = min(self.grace, 0.1)
        for scope in self._scopes:
            scope.cancel()


async def shut_down(life: Lifecycle, group: anyio.abc.TaskGroup, deadline: ShutdownDeadline, pre_drain: float) -> None:
    """Run all phases; errors are collected in ``life.errors``, not raised."""
    with life.phase("not ready"):
        life.state = "stopping"
    if pre_drain > 0:
        with life.phase("pre-drain"), deadline.until(deadline.clock.now() + pre_drain):
            await anyio.sleep_forever()
    deadline.drain_begins()
    for phase in PHASE_ENDS:
        with life.phase(phase):
            await _stop_tasks(life, group, [task for task in life.tasks if task.task.phase == phase], deadline, phase)
            if phase == "flush":
                with deadline.until(deadline.end_of(phase)):
                    await life.deliver_last_errors()
    with life.phase("close"):
        with deadline.clock.move_on_after(deadline.grace):
            await life.background.close()
        if jobs := life.background.jobs:
            life.left_behind.append(f"{jobs} background jobs of pipelines")
        errors, left_behind = await life.resources.close(deadline.clock, deadline.ends_at, deadline.grace)
        life.errors += errors
        life.left_behind += left_behind


async def _stop_tasks(
    life: Lifecycle,
    group: anyio.abc.TaskGroup,
    tasks: Sequence[SupervisedTask],
    deadline: ShutdownDeadline,
    phase: Phase,
) -> None:
    begun = deadline.clock.now()
    for task in tasks:
        group.start_soon(task.ask_to_stop, name=f"stop {task}")
    with deadline.until(deadline.end_of(phase)):
        await _all_stopped(tasks)
    late = [task for task in tasks if not task.is_stopped]
    for task in late:
        task.cancel()
    with deadline.clock.move_on_after(deadline.grace):
        await _all_stopped(late)
    for task in tasks:
        life.errors += task.stop_errors
    for task in late:
        life.errors.append(DeadlineExceeded(f"stopping {task}", deadline.clock.now() - begun))
        if task.is_stopped:
            _log.warning("app %s: %s did not stop in time and was cancelled", life.name, task)
        else:
            life.left_behind.append(str(task))
            _log.error("app %s: %s did not stop and is left behind", life.name, task)


async def _all_stopped(tasks: Iterable[SupervisedTask]) -> None:
    for task in tasks:
        await task.stopped()
