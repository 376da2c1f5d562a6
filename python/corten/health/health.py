"""Runs health checks: concurrently, with timeouts, one run for all waiters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import cast, get_args

import anyio
import msgspec

from corten.clock import Clock
from corten.health.check import Check, Finding, Probe
from corten.health.report import CheckReport, Report, overall
from corten.secrets import redact

_PROBES: tuple[str, ...] = get_args(Probe)


class HealthStatistics(msgspec.Struct, frozen=True):
    """Counts of checks and their runs."""

    checks: int
    """Registered checks."""
    runs: int
    """Runs of checks."""
    hits: int
    """Reports that needed no run: still fresh, or from a run under way."""
    failures: int
    """Runs that ended ``down``."""
    timeouts: int
    """Runs that took longer than the check's timeout; also in ``failures``."""


class _Flight:
    """One run of a check, with its waiters."""

    __slots__ = ("landed", "report")

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.report: CheckReport | None = None  # stays None if the run was cancelled: a waiter then runs the check


class _Entry:
    __slots__ = ("check", "flight", "fresh_until", "latest")

    def __init__(self, check: Check) -> None:
        self.check = check
        self.latest: CheckReport | None = None
        self.fresh_until = 0.0
        self.flight: _Flight | None = None


class Health:
    """The checks of one App.

    A check runs in the task of the first caller, and later callers wait for its report. If the first caller is
    cancelled, a waiter runs the check. Nothing runs between probes.

    :param clock: the clock of timeouts and freshness
    :param wall: seconds since the epoch, for ``CheckReport.at``
    """

    def __init__(self, clock: Clock | None = None, *, wall: Callable[[], float] = time.time) -> None:
        self._clock = clock if clock is not None else Clock()
        self._wall = wall
        self._entries: dict[str, _Entry] = {}
        self._runs = 0
        self._hits = 0
        self._failures = 0
        self._timeouts = 0

    @property
    def checks(self) -> Mapping[str, Check]:
        """The registered checks by name, in the order of their registration."""
        return {name: entry.check for name, entry in self._entries.items()}

    def add(self, check: Check) -> Check:
        """Register a check, and return it.

        :raises ValueError: the name is empty or taken, a probe is unknown, or a time is out of range
        """
        if not check.name:
            raise ValueError("a check needs a name")
        if check.name in self._entries:
            raise ValueError(f"another check is named {check.name!r}: names of checks are unique in an App")
        unknown = [probe for probe in check.probes if probe not in _PROBES]
        if unknown:
            raise ValueError(
                f"check {check.name!r}: unknown probe {unknown[0]!r}; expected one of {', '.join(_PROBES)}"
            )
        if not check.timeout > 0:
            raise ValueError(f"check {check.name!r}: timeout is {check.timeout} s; expected more than 0")
        if not check.fresh >= 0:
            raise ValueError(f"check {check.name!r}: fresh is {check.fresh} s; expected 0 or more")
        self._entries[check.name] = _Entry(check)
        return check

    async def run(self, probe: Probe | None = None) -> Report:
        """Run the checks of a probe, or all of them, and report.

        A check is cancelled at its timeout. A check that blocks the event loop or ignores it delays the probe.
        """
        entries = [entry for entry in self._entries.values() if probe is None or probe in entry.check.probes]
        reports: dict[str, CheckReport] = {}

        async def collect(entry: _Entry) -> None:
            reports[entry.check.name] = await self._report(entry)

        stale: list[_Entry] = []
        for entry in entries:
            if entry.latest is not None and self._clock.now() < entry.fresh_until:
                reports[entry.check.name] = entry.latest
                self._hits += 1
            else:
                stale.append(entry)
        if len(stale) == 1:
            await collect(stale[0])
        elif stale:
            async with anyio.create_task_group() as group:
                for entry in stale:
                    group.start_soon(collect, entry, name=f"corten check {entry.check.name}")
        ordered = {entry.check.name: reports[entry.check.name] for entry in entries}
        return Report(overall(ordered.values()), ordered)

    def statistics(self) -> HealthStatistics:
        """Return the counts since the App was made."""
        return HealthStatistics(len(self._entries), self._runs, self._hits, self._failures, self._timeouts)

    async def _report(self, entry: _Entry) -> CheckReport:
        """Return the report of a run under way, or of a new run."""
        while entry.flight is not None:
            flight = entry.flight
            await flight.landed.wait()
            if flight.report is not None:
                self._hits += 1
                return flight.report
        entry.flight = flight = _Flight()
        try:
            flight.report = entry.latest = await self._run(entry.check)
            entry.fresh_until = self._clock.now() + entry.check.fresh
            return flight.report
        finally:
            entry.flight = None
            flight.landed.set()

    async def _run(self, check: Check) -> CheckReport:
        self._runs += 1
        began = self._clock.now()
        finding: Finding | None = None
        with self._clock.move_on_after(check.timeout) as scope:
            finding = await _find(check)
        if scope.cancelled_caught:
            self._timeouts += 1
            finding = Finding("down", f"did not answer within {check.timeout:.3g} s")
        finding = finding if finding is not None else Finding("up")
        if finding.status == "down":
            self._failures += 1
        seconds = self._clock.now() - began
        return CheckReport(finding.status, finding.message, seconds, finding.details, self._wall(), check.critical)


async def _find(check: Check) -> Finding | None:
    """Run the check; turn an error into a finding without secrets."""
    try:
        finding = cast("object", await check.run())
    except Exception as error:  # noqa: BLE001 - an error of a check is its finding
        text = redact(str(error))
        return Finding("down", f"{type(error).__name__}: {text}" if text else type(error).__name__)
    if finding is None or isinstance(finding, Finding):
        return finding
    return Finding("down", f"the check returned {type(finding).__name__}; expected a Finding or None")
