"""The phases of shutdown, within one deadline.

Not ready, pre-drain delay, intake stops, work drains, telemetry flushes, resources close in reverse. Each phase has to
be over at a fraction of the time there is, so that a phase that hangs leaves the later ones theirs.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from corten.app.tasks.tasks import SupervisedTask
from corten.clock import Clock
from corten.errors import DeadlineExceeded
from corten.plugins.descriptions import Phase

if TYPE_CHECKING:
    import anyio.abc

    from corten.app.lifecycle.lifecycle import Lifecycle

_log = logging.getLogger("corten.app")

OVER_AT: dict[Phase, float] = {"intake": 0.4, "work": 0.7, "flush": 0.8}
"""The fraction of the time by which a phase has to be over; resources have the rest."""

HURRY = 2.0
"""Seconds that are left, at most, to a shutdown whose caller was cancelled."""


class ShutdownDeadline:
    """The time that a shutdown has, which can be cut short while it runs."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.begun = clock.now()
        self.deadline = self.begun + seconds
        self.grace = min(0.5, 0.05 * seconds)
        """Seconds in which what was cancelled has to end."""
        self._scopes: list[anyio.CancelScope] = []
        self._hurried = False

    def drain_begins(self) -> None:
        """The fractions are of the time from now on."""
        self.begun = self.clock.now()

    def over_at(self, phase: Phase) -> float:
        """When a phase has to be over."""
        return self.begun + OVER_AT[phase] * (self.deadline - self.begun)

    @property
    def is_hurried(self) -> bool:
        """Whether nobody waits for work in flight any more."""
        return self._hurried

    @contextmanager
    def until(self, moment: float) -> Generator[None, None, None]:
        """Leave what is inside at a moment, or when told to hurry."""
        with self.clock.move_on_at(moment) as scope:
            self._scopes.append(scope)
            if self._hurried:
                scope.cancel()
            try:
                yield
            finally:
                self._scopes.remove(scope)

    def hurry(self) -> None:
        """Cut it short: cancel what is in flight, and close."""
        self._hurried = True
        self.deadline = min(self.deadline, self.clock.now() + HURRY)
        self.grace = min(self.grace, 0.1)
        for scope in self._scopes:
            scope.cancel()


async def shut_down(life: Lifecycle, group: anyio.abc.TaskGroup, patience: ShutdownDeadline, pre_drain: float) -> None:
    """Go through the phases. Raises nothing: what goes wrong is in ``life.errors``."""
    with life.phase("not ready"):
        life.state = "stopping"
    if pre_drain > 0:
        with life.phase("pre-drain"), patience.until(patience.clock.now() + pre_drain):
            await anyio.sleep_forever()
    patience.drain_begins()
    for phase in OVER_AT:
        with life.phase(phase):
            await _stop_tasks(life, group, [task for task in life.tasks if task.task.phase == phase], patience, phase)
            if phase == "flush":
                with patience.until(patience.over_at(phase)):
                    await life.tell_errors()
    with life.phase("close"):
        with patience.clock.move_on_after(patience.grace):
            await life.background.close()
        if jobs := life.background.jobs:
            life.left_behind.append(f"{jobs} of what pipelines did in the background")
        errors, left_behind = await life.resources.close(patience.clock, patience.deadline, patience.grace)
        life.errors += errors
        life.left_behind += left_behind


async def _stop_tasks(
    life: Lifecycle,
    group: anyio.abc.TaskGroup,
    tasks: Sequence[SupervisedTask],
    patience: ShutdownDeadline,
    phase: Phase,
) -> None:
    begun = patience.clock.now()
    for task in tasks:
        group.start_soon(task.ask_to_stop, name=f"stop {task}")
    with patience.until(patience.over_at(phase)):
        await _all_stopped(tasks)
    late = [task for task in tasks if not task.is_stopped]
    for task in late:
        task.cancel()
    with patience.clock.move_on_after(patience.grace):
        await _all_stopped(late)
    for task in tasks:
        life.errors += task.stop_errors
    for task in late:
        life.errors.append(DeadlineExceeded(f"stopping {task}", patience.clock.now() - begun))
        if task.is_stopped:
            _log.warning("app %s: %s did not stop in time and was cancelled", life.name, task)
        else:
            life.left_behind.append(str(task))
            _log.error("app %s: %s did not stop and is left behind", life.name, task)


async def _all_stopped(tasks: Iterable[SupervisedTask]) -> None:
    for task in tasks:
        await task.stopped()
