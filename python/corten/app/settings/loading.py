"""Loads the settings of an App: its sections, from its sources."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from corten.app.settings.settings import OWN_SECTIONS, PLUGINS, OwnSettings, ShutdownSettings
from corten.errors import CortenError, SettingsError
from corten.flags import Flags
from corten.settings import DEFAULT, Section

if TYPE_CHECKING:
    from pathlib import Path

    from corten.plugins.loading import Plugins
    from corten.settings import Settings

SECRETS = "/run/secrets"
"""Where orchestrators mount secrets, a file for each."""


class SettingsSources(msgspec.Struct, frozen=True):
    """Where an App's settings come from."""

    config: str | Path | None
    optional: bool
    """Whether the file may be missing."""
    arguments: Mapping[str, object]
    folder: Path | None = None
    """The folder of ``.env`` without a settings file; None: the current folder."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The settings file and its ``.env``, whether they exist or not."""
        from pathlib import Path

        if self.config is None:
            return ((self.folder or Path()) / ".env",)
        return (Path(self.config), Path(self.config).parent / ".env")

    def anchored(self) -> SettingsSources:
        """Return sources with absolute paths, independent of the current folder."""
        from pathlib import Path

        config = None if self.config is None else Path(self.config).absolute()
        return msgspec.structs.replace(self, config=config, folder=Path.cwd())

    def load(self, sections: Sequence[Section[Any]], *, ignore_unknown: bool = False) -> Settings:
        """Read and check the settings of some sections.

        :raises SettingsError: lists every problem
        """
        from pathlib import Path

        from corten.settings import load

        file = None if self.config is None or self.missing() is not None else Path(self.config)
        return load(
            sections,
            file=file,
            environ=os.environ,
            secrets=Path(SECRETS),
            arguments=self.arguments,
            dotenv=self.files[-1],
            ignore_unknown=ignore_unknown,
        )

    def missing(self) -> Path | None:
        """Return the optional settings file if it does not exist, else None."""
        from pathlib import Path

        file = None if self.config is None else Path(self.config)
        return file if file is not None and self.optional and not file.exists() else None

    def autoload(self) -> bool | tuple[str, ...]:
        """Read which plugins to load: plugins bring sections, so this is read before all other settings."""
        return self.load([PLUGINS], ignore_unknown=True).section(PLUGINS)[DEFAULT].autoload


class AppSettings:
    """The settings of one App: sections, sources and loaded values.

    :param app: the App's name
    :param type: the type of the table ``[app]``; None: there is no such table
    :param autoload: the installed plugins to load; None: the settings say
    """

    def __init__(
        self,
        app: str,
        type: type[msgspec.Struct] | None,  # noqa: A002 - the word of the field that users know
        autoload: bool | Sequence[str] | None,
        sources: SettingsSources,
        plugins: Plugins,
    ) -> None:
        self.type = type
        self.sources = sources
        self._app = app
        self._autoload = autoload
        self.plugins = plugins
        self._sections: tuple[Section[Any], ...] = ()
        self._flags: Flags | None = None
        self._loaded: Settings | None = None

    @property
    def loaded(self) -> Settings:
        """All settings, with the source of each.

        :raises CortenError: they were not loaded yet
        """
        if self._loaded is None:
            raise CortenError(f"app {self._app!r} has no settings yet: they are read when it starts")
        return self._loaded

    @property
    def own(self) -> OwnSettings:
        """Corten's own tables.

        :raises CortenError: the settings were not loaded yet
        """
        return OwnSettings(self.loaded)

    @property
    def shutdown(self) -> ShutdownSettings:
        """The limits of stopping; defaults if settings could not be loaded."""
        return ShutdownSettings() if self._loaded is None else self.own.shutdown

    @property
    def flags(self) -> Flags:
        """The feature flags.

        :raises CortenError: the settings were not loaded yet
        """
        if self._flags is None:
            self._flags = Flags(self.own.top.flags)
        return self._flags

    def load(self) -> Settings:
        """Find the plugins and read the settings, once.

        :raises PluginError: a plugin is broken (an ExceptionGroup of these, where several are)
        :raises SettingsError: lists every problem
        """
        if self._loaded is None:
            loaded = self.sources.load(self.sections())
            self.plugins.activate(loaded.is_active)
            self._loaded = loaded
        return self._loaded

    def replace(self, settings: Settings) -> None:
        """Replace the loaded settings while the App runs."""
        self._loaded = settings
        self._flags = None

    def configure(self, config: str | Path | None, arguments: Mapping[str, object]) -> None:
        """Replace the settings file, and add arguments.

        :raises CortenError: the settings were loaded already
        """
        if self._loaded is not None:
            raise CortenError(f"app {self._app!r} has its settings already: configure it before")
        sources = self.sources
        self.sources = SettingsSources(
            sources.config if config is None else config,
            sources.optional if config is None else False,
            {**sources.arguments, **arguments},
        )

    def sections(self) -> Sequence[Section[Any]]:
        """Return all sections: Corten's own, ``[app]``, and those of the plugins, which are found now.

        :raises PluginError: a plugin is broken (an ExceptionGroup of these, where several are)
        :raises SettingsError: the setting that selects plugins is wrong
        """
        if not self._sections:
            self.plugins.load(self._wanted_plugins() if self._autoload is None else self._autoload)
            self._sections = (*self.own_sections(), *self.plugins.sections())
        return self._sections

    def _wanted_plugins(self) -> bool | tuple[str, ...]:
        try:
            return self.sources.autoload()
        except SettingsError as error:
            # Plugins cannot be loaded, but the problems of all other known sections can be listed at once.
            problems = list(error.problems)
            try:
                self.sources.load(self.own_sections())
            except SettingsError as others:
                problems += (each for each in others.problems if each.message != "unknown section")
            raise SettingsError(list(dict.fromkeys(problems))) from None

    def own_sections(self) -> Sequence[Section[Any]]:
        """Return the sections that exist without any plugin."""
        own = () if self.type is None else (Section("app", self.type),)
        return (*OWN_SECTIONS, *own)
