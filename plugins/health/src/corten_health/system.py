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
"""Where a container sees the limits of its own control group (cgroup v2)."""


class Memory(msgspec.Struct, frozen=True):
    """Memory in use and there to be used, in bytes."""

    used: int
    total: int
    limited: bool
    """Whether ``total`` is a container's limit."""


def read_memory(cgroup: Path = CGROUP) -> Memory:
    """The memory that counts: the control group's where it has a limit, else the machine's.

    Of a group the working set is taken, what is in use without the file cache that can be dropped, as Kubernetes does
    when it decides whom to evict.
    """
    machine = psutil.virtual_memory()
    try:
        limit = int((cgroup / "memory.max").read_text())  # "max" where there is none: ValueError
        current = int((cgroup / "memory.current").read_text())
        statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        used = max(0, current - int(statistics.get("inactive_file", 0)))
    except (OSError, ValueError):
        return Memory(machine.total - machine.available, machine.total, limited=False)
    if limit >= machine.total:
        return Memory(machine.total - machine.available, machine.total, limited=False)
    return Memory(used, limit, limited=True)


class CpuShare:
    """The share of the machine's CPU time that was in use since the last time it was asked.

    :param read: seconds busy, and seconds in all
    :param least: seconds in all that a share is of; until then the last one counts. None: one second of each CPU
    """

    def __init__(self, read: Callable[[], tuple[float, float]] | None = None, *, least: float | None = None) -> None:
        self._read = read if read is not None else _cpu_times
        self._least = least if least is not None else float(psutil.cpu_count() or 1)
        self._last = self._read()
        self._share = 0.0

    def take(self) -> float:
        """The share since the last take, between 0 and 1; a moment's burst, as at the start, is not one."""
        now = self._read()
        total = now[1] - self._last[1]
        if total > 0 and total >= self._least:
            self._share = min(1.0, max(0.0, (now[0] - self._last[0]) / total))
            self._last = now
        return self._share


def _cpu_times() -> tuple[float, float]:
    """Seconds busy and seconds in all, of all CPUs together."""
    times = psutil.cpu_times()
    # guest times are contained in user times (proc(5)), so they don't count twice
    total = math.fsum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


def judge(share: float, degraded: float, down: float) -> Status:
    """The status of something of which ``share`` is used."""
    return "down" if share >= down else "degraded" if share >= degraded else "up"


def memory_check(settings: HealthSettings, read: Callable[[], Memory] = read_memory) -> Check:
    """A check of the memory that this process may use."""

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
    """Bytes used and bytes that an ordinary user could have used, of the file system of ``path``."""
    usage = psutil.disk_usage(path)
    return usage.used, usage.used + usage.free


def disk_check(settings: HealthSettings, read: Callable[[str], tuple[int, int]] = _disk_usage) -> Check:
    """A check of the file systems that ``disk_paths`` lie on; run in a thread, since a file system may hang."""

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
    """A check of the machine's CPUs; a busy machine works with less, so it is never ``down``."""

    async def run() -> Finding:
        share = cpu.take()
        status: Status = "degraded" if share > settings.cpu_degraded else "up"
        message = "" if status == "up" else f"{share:.0%} of the CPU time is in use"
        return Finding(status, message, {"used": round(share, 4), "cpus": psutil.cpu_count() or 0})

    # fresh for five seconds, so that the share is of a stretch of time and not of a moment
    return Check("cpu", run, fresh=5.0, critical="cpu" in settings.critical)
