"""Exporters: send snapshots of the metrics at an interval and at shutdown."""

from __future__ import annotations

import logging
from collections.abc import Callable

from corten.app.tasks.schedule import Schedule
from corten.clock import Clock
from corten.metrics.snapshot import Snapshot
from corten.plugins.descriptions import Exporter, Task

_log = logging.getLogger("corten.app")


def exporter_task(
    exporter: Exporter,
    snapshot: Callable[[], Snapshot],
    clock: Clock,
    count: Callable[[str, str], None],
) -> Task:
    """Return the task of an exporter; failures are counted and logged.

    :param count: called with the exporter's name and ``success`` or ``error``
    """

    async def export() -> None:
        try:
            await exporter.export(snapshot())
        except Exception as error:  # noqa: BLE001 - telemetry never stops a service
            count(exporter.name, "error")
            _log.warning("exporter %r failed: %s: %s", exporter.name, type(error).__name__, error)
        else:
            count(exporter.name, "success")

    name = f"exporter {exporter.name}"
    schedule = Schedule(name, export, interval=exporter.interval, clock=clock, at_start=False)

    async def run() -> None:
        await schedule.run()
        await export()  # the counts since the last export, and of the shutdown

    return Task(name, run, schedule.stop, "flush")
