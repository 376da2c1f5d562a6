"""Metrics of this process and of the event loop's lag."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import psutil

from corten.metrics import Collector, Measurement
from corten_health.loop import LoopMonitor


def process_collector(monitor: LoopMonitor) -> Collector:
    """Return the collector of ``corten_process_*``."""
    process = psutil.Process()

    def collect() -> Iterable[Measurement]:
        with process.oneshot():  # one reading of /proc for all values
            times = process.cpu_times()
            yield Measurement(
                "corten_process_cpu", times.user + times.system, (), "CPU time of the process", "seconds", "counter"
            )
            yield Measurement(
                "corten_process_resident_memory", process.memory_info().rss, (), "Memory of the process", "bytes"
            )
            yield Measurement("corten_process_threads", process.num_threads(), (), "Threads of the process")
            yield Measurement(
                "corten_process_start_time",
                process.create_time(),
                (),
                "Start of the process, since the epoch",
                "seconds",
            )
        count: Callable[[], int] = getattr(process, "num_fds" if psutil.POSIX else "num_handles")
        yield Measurement("corten_process_open_descriptors", count(), (), "Open files, sockets and the like")
        figures = monitor.statistics()
        yield Measurement(
            "corten_process_loop_lag", figures.worst, (), "Longest delay of the event loop in ten seconds", "seconds"
        )
        yield Measurement(
            "corten_process_loop_blocked",
            figures.blocked,
            (),
            "Times the event loop was blocked",
            kind="counter",
        )

    return Collector("process", collect)
