"""Corten's own sections of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from corten.app.tasks.supervision import Restarts
from corten.flags import Rollout
from corten.logs import LogFormat
from corten.policies.combined.policy import Policy
from corten.settings import DEFAULT, Duration, Section

if TYPE_CHECKING:
    from corten.settings import Settings


class CortenSettings(msgspec.Struct, frozen=True):
    """The keys at the top of the file."""

    environment: Literal["production", "development"] = "production"
    """Only ``corten dev`` makes it development."""
    flags: dict[str, bool | Rollout] = {}
    """``[flags]``: on, off, or on for a share."""


class PluginsSettings(msgspec.Struct, frozen=True):
    """``[plugins]``: the installed plugins to load."""

    autoload: bool | tuple[str, ...] = True
    """All, none, or some by name."""


class ShutdownSettings(msgspec.Struct, frozen=True):
    """``[shutdown]``: the time that stopping may take."""

    deadline: Duration = 25.0
    """Seconds for all phases together."""
    pre_drain: Duration = 0.0
    """Time to continue after SIGTERM while load balancers notice that the App is not ready; part of the deadline."""

    def __post_init__(self) -> None:
        if self.deadline <= 0:
            raise ValueError("deadline is 0; expected more, such as 25s")
        if self.pre_drain >= self.deadline:
            raise ValueError(f"pre_drain ({self.pre_drain:g} s) leaves nothing of the deadline ({self.deadline:g} s)")


class TasksSettings(msgspec.Struct, frozen=True):
    """``[tasks]``: restarts of tasks that fail."""

    renamed_fields: ClassVar = {"first_wait": "initial_backoff", "longest_wait": "max_backoff"}

    max_failures: int = 10
    """Failures within ``window`` after which the App has failed."""
    window: Duration = 300.0
    initial_backoff: Duration = 0.5
    """Before the first restart; doubled by each further failure within ``window``."""
    max_backoff: Duration = 30.0

    @property
    def restarts(self) -> Restarts:
        """These settings, for the supervision of tasks."""
        return Restarts(self.max_failures, self.window, self.initial_backoff, self.max_backoff)


class LogsSettings(msgspec.Struct, frozen=True):
    """``[logs]``: the logging that ``run`` sets up, unless the program has."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: LogFormat = "auto"
    """``auto``: lines for people on a terminal, JSON elsewhere."""


class ReloadSettings(msgspec.Struct, frozen=True):
    """``[reload]``: reloads of the settings while the App runs."""

    watch: bool = False
    """Whether the settings file and ``.env`` are watched; SIGHUP and `App.reload` work without."""
    settle: Duration = 0.2
    """Time without a change before a file is read: it may be half written."""

    def __post_init__(self) -> None:
        if not 0.01 <= self.settle <= 60:
            raise ValueError(f"settle is {self.settle:g} s; expected a time from 10ms to 1m")


class DeadLettersSettings(msgspec.Struct, frozen=True):
    """``[dead_letters]``: the store of dead letters."""

    store: str = ""
    """The store's name; needed only if plugins offer several. ``memory`` always exists."""


class ChaosSettings(msgspec.Struct, frozen=True):
    """``[chaos]``: whether chaos policies may disturb calls."""

    allowed: bool = False
    """False: chaos policies do nothing."""


class PipelineSettings(msgspec.Struct, frozen=True):
    """``[pipelines.NAME]``: the policies of a pipeline, or of a profile."""

    extends: str | None = None
    """A profile or another table that gives the policies if this table has none."""
    policies: tuple[Policy, ...] | None = None
    """The policies, outermost first."""
    replace: tuple[Policy, ...] = ()
    """Policies that replace policies of their kind in ``extends``; the first of a kind replaces the first."""
    outside: tuple[Policy, ...] = ()
    """Policies around all others, such as a cache in front of a profile."""
    inside: tuple[Policy, ...] = ()
    """Policies inside all others, such as chaos."""


TOP = Section("", CortenSettings)
PLUGINS = Section("plugins", PluginsSettings)
SHUTDOWN = Section("shutdown", ShutdownSettings)
TASKS = Section("tasks", TasksSettings)
LOGS = Section("logs", LogsSettings)
RELOAD = Section("reload", ReloadSettings)
DEAD_LETTERS = Section("dead_letters", DeadLettersSettings)
CHAOS = Section("chaos", ChaosSettings)
PIPELINES = Section("pipelines", PipelineSettings, instances=True)

OWN_SECTIONS: tuple[Section[Any], ...] = (
    TOP, PLUGINS, SHUTDOWN, TASKS, LOGS, RELOAD, DEAD_LETTERS, CHAOS, PIPELINES,
)  # fmt: skip
"""Corten's own sections in the settings of every App."""


class OwnSettings:
    """Corten's own sections as they were loaded."""

    def __init__(self, settings: Settings) -> None:
        self.top = settings.section(TOP)[DEFAULT]
        self.shutdown = settings.section(SHUTDOWN)[DEFAULT]
        self.tasks = settings.section(TASKS)[DEFAULT]
        self.logs = settings.section(LOGS)[DEFAULT]
        self.reload = settings.section(RELOAD)[DEFAULT]
        self.dead_letters = settings.section(DEAD_LETTERS)[DEFAULT]
        self.chaos = settings.section(CHAOS)[DEFAULT]
        self.pipelines = settings.section(PIPELINES)
