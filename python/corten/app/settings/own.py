"""Corten's own tables, as the App reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from corten.app.settings.settings import (
    ChaosSettings,
    CortenSettings,
    DeadLettersSettings,
    LogsSettings,
    PipelineSettings,
    ReloadSettings,
    ShutdownSettings,
    TasksSettings,
)

if TYPE_CHECKING:
    from corten.settings import Settings


class OwnSettings:
    """Typed access to what :data:`corten.app.settings.settings.OWN_SECTIONS` describes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _plain(self, name: str) -> Any:
        return self._settings.section(name)["default"]

    @property
    def top(self) -> CortenSettings:
        """The keys at the top of the file."""
        return cast("CortenSettings", self._plain(""))

    @property
    def shutdown(self) -> ShutdownSettings:
        """``[shutdown]``."""
        return cast("ShutdownSettings", self._plain("shutdown"))

    @property
    def chaos(self) -> ChaosSettings:
        """``[chaos]``."""
        return cast("ChaosSettings", self._plain("chaos"))

    @property
    def tasks(self) -> TasksSettings:
        """``[tasks]``."""
        return cast("TasksSettings", self._plain("tasks"))

    @property
    def logs(self) -> LogsSettings:
        """``[logs]``."""
        return cast("LogsSettings", self._plain("logs"))

    @property
    def reload(self) -> ReloadSettings:
        """``[reload]``."""
        return cast("ReloadSettings", self._plain("reload"))

    @property
    def dead_letters(self) -> DeadLettersSettings:
        """``[dead_letters]``."""
        return cast("DeadLettersSettings", self._plain("dead_letters"))

    @property
    def pipelines(self) -> Mapping[str, PipelineSettings]:
        """``[pipelines.NAME]`` by name."""
        return cast("Mapping[str, PipelineSettings]", self._settings.section("pipelines"))
