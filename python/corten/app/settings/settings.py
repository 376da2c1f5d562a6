"""Corten's own tables in the settings."""

from __future__ import annotations

from typing import Literal

import msgspec

from corten.app.tasks.tasks import Restarts
from corten.flags import Rollout
from corten.logs import LogFormat
from corten.policies.policy import Policy
from corten.settings import Duration, Section


class CortenSettings(msgspec.Struct, frozen=True):
    """The keys at the top of the file."""

    environment: Literal["production", "development"] = "production"
    """Only ``corten dev`` makes it development."""
    flags: dict[str, bool | Rollout] = {}
    """``[flags]``: on, off, or on for a share."""


class PluginsSettings(msgspec.Struct, frozen=True):
    """``[plugins]``: which of the installed plugins are loaded."""

    autoload: bool | tuple[str, ...] = True
    """All, none, or those named."""


class ShutdownSettings(msgspec.Struct, frozen=True):
    """``[shutdown]``: how long stopping may take."""

    deadline: Duration = 25.0
    """For all phases together."""
    pre_drain: Duration = 0.0
    """How long to go on after SIGTERM while load balancers take notice that the App is not ready; in the deadline."""

    def __post_init__(self) -> None:
        if self.deadline <= 0:
            raise ValueError("deadline is 0; expected more, such as 25s")
        if self.pre_drain >= self.deadline:
            raise ValueError(f"pre_drain ({self.pre_drain:g} s) leaves nothing of the deadline ({self.deadline:g} s)")


class TasksSettings(msgspec.Struct, frozen=True):
    """``[tasks]``: when a task that fails is started again, and when no longer."""

    max_failures: int = 10
    """So many failures within ``window`` are for good: the App has failed."""
    window: Duration = 300.0
    first_wait: Duration = 0.5
    """Before the first restart; doubled by each failure that still counts."""
    longest_wait: Duration = 30.0

    @property
    def restarts(self) -> Restarts:
        """The same, as the supervision takes it."""
        return Restarts(self.max_failures, self.window, self.first_wait, self.longest_wait)


class LogsSettings(msgspec.Struct, frozen=True):
    """``[logs]``: what ``run`` sets up where nobody has set up logging."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: LogFormat = "auto"
    """``auto`` is for people on a terminal and JSON elsewhere."""


class ReloadSettings(msgspec.Struct, frozen=True):
    """``[reload]``: reading the settings again while the App runs."""

    watch: bool = False
    """Whether the settings file and ``.env`` are watched; SIGHUP and `App.reload` work without."""
    settle: Duration = 0.2
    """How long a file must be left alone before it is read: it may be half written."""

    def __post_init__(self) -> None:
        if not 0.01 <= self.settle <= 60:
            raise ValueError(f"settle is {self.settle:g} s; expected a time from 10ms to 1m")


class DeadLettersSettings(msgspec.Struct, frozen=True):
    """``[dead_letters]``: where dead letters are kept."""

    store: str = ""
    """The store's name; needed only where plugins offer several. ``memory`` is always there."""


class ChaosSettings(msgspec.Struct, frozen=True):
    """``[chaos]``: whether policies of that name may do harm."""

    allowed: bool = False
    """They do nothing unless this is true, whatever their rates."""


class PipelineSettings(msgspec.Struct, frozen=True):
    """``[pipelines.NAME]``: the policies of a pipeline, or a profile that others extend."""

    extends: str | None = None
    """A profile, or another of these tables, whose policies hold where this one has none."""
    policies: tuple[Policy, ...] | None = None
    """In order, outermost first."""
    replace: tuple[Policy, ...] = ()
    """In place of those of the same word in what it ``extends``: the first of a word for the first there."""
    outside: tuple[Policy, ...] = ()
    """Around all the others, such as a cache in front of a profile."""
    inside: tuple[Policy, ...] = ()
    """Within all the others, such as chaos."""


OWN_SECTIONS: tuple[Section, ...] = (
    Section("", CortenSettings),
    Section("plugins", PluginsSettings),
    Section("shutdown", ShutdownSettings),
    Section("tasks", TasksSettings),
    Section("logs", LogsSettings),
    Section("reload", ReloadSettings),
    Section("dead_letters", DeadLettersSettings),
    Section("chaos", ChaosSettings),
    Section("pipelines", PipelineSettings, instances=True),
)
"""What is Corten's own in every App's settings."""
