"""Checks of memory, disk and CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
import msgspec
import psutil

from corten.health import Check, Finding, Status
from corten_health.settings import HealthSettings

CGROUP = Path("/sys/fs/cgroup")
"""The container's control group (cgroup v2)."""


class Memory(msgspec.Struct, frozen=True):
    """Used and total memory, in bytes."""

    used: int
    total: int
    limited: bool
    """Whether ``total`` is a container's limit."""


def read_memory(cgroup: Path = CGROUP) -> Memory:
    """Return the memory of the control group if it has a limit, else of the machine.

    A group's used memory is its working set, without the file cache that can be dropped, as for Kubernetes' evictions.
    """
    machine = psutil.virtual_memory()
    try:
        limit = int((cgroup / "memory.max").read_text())  # "max" without a limit: ValueError
        current = int((cgroup / "memory.current").read_text())
        statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        used = max(0, current - int(statistics.get("inactive_file", 0)))
    except (OSError, ValueError):
        return Memory(machine.total - machine.available, machine.total, limited=False)
    if limit >= machine.total:
        return Memory(machine.total - machine.available, machine.total, limited=False)
    return Memory(used, limit, limited=True)


class CpuShare:
    """The used share of the machine's CPU time since the last reading.

    :param read: returns busy seconds and all seconds
    :param least: all seconds of a reading; with less, the last share counts. None: one second of each CPU
    """

    def __init__(self, read: Callable[[], tuple[float, float]] | None = None, *, least: float | None = None) -> None:
        self._read = read if read is not None else _cpu_times
        self._least = least if least is not None else float(psutil.cpu_count() or 1)
        self._last = self._read()
        self._share = 0.0

    def take(self) -> float:
        """Return the share since the last reading, from 0 to 1; ignore short bursts."""
        now = self._read()
        total = now[1] - self._last[1]
        if total > 0 and total >= self._least:
            self._share = min(1.0, max(0.0, (now[0] - self._last[0]) / total))
            self._last = now
        return self._share


def _cpu_times() -> tuple[float, float]:
    """Return the busy seconds and all seconds of all CPUs."""
    times = psutil.cpu_times()
    # guest times are contained in user times (proc(5)), so they don't count twice
    total = math.fsum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


def judge(share: float, degraded: float, down: float) -> Status:
    """Return the status of a used share."""
    return "down" if share >= down else "degraded" if share >= degraded else "up"


def memory_check(settings: HealthSettings, read: Callable[[], Memory] = read_memory) -> Check:
    """Make the check of the memory."""

    async def run() -> Finding:
        memory = read()
        share = memory.used / memory.total if memory.total else 0.0
        status = judge(share, settings.memory_degraded, settings.memory_down)
        of = "the container's limit" if memory.limited else "the machine's memory"
        message = "" if status == "up" else f"{share:.0%} of {of} is in use"
        details = {"used_bytes": memory.used, "total_bytes": memory.total, "used": round(share, 4)}
        return Finding(status, message, details)

    return Check("memory", run, fresh=1.0, critical="memory" in settings.critical)


def _disk_usage(path: str) -> tuple[int, int]:
    """Return the used and all usable bytes of a path's file system."""
    usage = psutil.disk_usage(path)
    return usage.used, usage.used + usage.free


def disk_check(settings: HealthSettings, read: Callable[[str], tuple[int, int]] = _disk_usage) -> Check:
    """Make the check of the disks; it runs in a thread, because disks may hang."""

    async def run() -> Finding:
        worst: Status = "up"
        words: list[str] = []
        details: dict[str, str | int | float | bool | None] = {}
        for path in settings.disk_paths:
            used, total = await anyio.to_thread.run_sync(read, path, abandon_on_cancel=True)
            share = used / total if total else 0.0
            status = judge(share, settings.disk_degraded, settings.disk_down)
            details[path] = round(share, 4)
            if status != "up":
                words.append(f"{path} is {share:.0%} full")
                worst = "down" if "down" in (worst, status) else "degraded"
        return Finding(worst, "; ".join(words), details)

    return Check("disk", run, fresh=10.0, critical="disk" in settings.critical)


def cpu_check(settings: HealthSettings, cpu: CpuShare) -> Check:
    """Make the check of the CPUs, which never says ``down``."""

    async def run() -> Finding:
        share = cpu.take()
        status: Status = "degraded" if share > settings.cpu_degraded else "up"
        message = "" if status == "up" else f"{share:.0%} of the CPU time is in use"
        return Finding(status, message, {"used": round(share, 4), "cpus": psutil.cpu_count() or 0})

    # fresh for five seconds, so that a share is of a longer time
    return Check("cpu", run, fresh=5.0, critical="cpu" in settings.critical)
