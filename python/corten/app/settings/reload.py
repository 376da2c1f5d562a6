"""Reload: read settings again while running, and apply all or none."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import anyio.to_thread
import msgspec

from corten.app.internals import internals_of
from corten.app.pipelines import pipeline_policies, set_policies
from corten.app.settings.settings import OwnSettings
from corten.app.settings.watching import Contents, Watcher, can_watch, contents
from corten.errors import CortenError, SettingsError, SettingsProblem, described
from corten.events import SettingsRejected, SettingsReloaded
from corten.secrets import redact
from corten.settings.display.difference import differences

if TYPE_CHECKING:
    from pathlib import Path

    from corten.app.app import App
    from corten.app.settings.loading import AppSettings, SettingsSources
    from corten.logs import LogLevel
    from corten.policies import Policy
    from corten.settings import Settings

_log = logging.getLogger("corten.app")

RELOADABLE: Final = ("pipelines", "chaos", "flags", "logs", "shutdown")
"""Sections, and keys at the top of the file, that take effect while the App runs. All other settings were handed out
at its start: to resources, plugins, tasks and the user's own code."""


class Reloaded(msgspec.Struct, frozen=True):
    """The changes of one reload."""

    changed: tuple[str, ...]
    """Settings that have new values now: ``pipelines.users.policies``."""
    needs_restart: tuple[str, ...]
    """Settings that take effect at the next start."""


class ReloadStatistics(msgspec.Struct, frozen=True):
    """Counts of reloads, and the problems of the last one."""

    applied: int
    """Reloads that were applied."""
    rejected: int
    """Reloads that found a problem and changed nothing."""
    problems: tuple[str, ...]
    """The problems of the last reload; empty after a good one."""
    needs_restart: tuple[str, ...]
    """Changed settings that take effect at the next start."""


class Reloader:
    """Reloads settings: by `App.reload`, on SIGHUP, after a change of files."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._settings: AppSettings = internals_of(app).settings
        self._applied = self._rejected = 0
        self._problems: tuple[str, ...] = ()
        self._needs_restart: tuple[str, ...] = ()
        self._requested: anyio.Event | None = None
        self._is_requested = False

    def begin(self, policies: Mapping[str, Sequence[Policy]]) -> None:
        """Remember what the App starts with, before its policies are set.

        :param policies: the policies of the settings, by pipeline
        """
        app = self._app
        self._lock = anyio.Lock()
        self._requested = anyio.Event()
        if self._is_requested:
            self._requested.set()
        self._sources: SettingsSources = self._settings.sources.anchored()
        self._in_code = {name: pipeline.policies for name, pipeline in app.pipelines.items()}
        self._policies = dict(policies)
        watched = self._sources.files if self._settings.own.reload.watch else ()
        self._contents: Contents = contents(watched)  # now: the start may take a while
        self._found_files = self._existing()
        registry = app.registry
        self._outcomes = registry.counter(
            "corten_settings_reloads", "How often the settings were read again while running", attributes=("outcome",)
        )
        self._valid = registry.gauge(
            "corten_settings_valid", "1 where the settings were right when they were read last, else 0"
        )
        self._waiting = registry.gauge(
            "corten_settings_needing_restart", "Settings that were changed and hold from the next start on"
        )
        self._valid.set(1)
        self._waiting.set(0)

    def _existing(self) -> tuple[Path, ...]:
        return tuple(file for file in self._sources.files if file.exists())

    def statistics(self) -> ReloadStatistics:
        """Return the counts so far."""
        return ReloadStatistics(self._applied, self._rejected, self._problems, self._needs_restart)

    # -- asking

    async def reload(self) -> Reloaded:
        """Read the settings again, and apply all changes or none.

        :raises CortenError: the App is not running
        :raises SettingsError: the settings are wrong; nothing has changed
        """
        if self._app.state != "running":
            raise CortenError(f"app {self._app.name!r} is {self._app.state}: settings are read again while it runs")
        async with self._lock:  # two reloads at once could end with the older of two files
            try:
                done = await self._reload()
            except SettingsError as error:
                self._reject(tuple(map(str, error.problems)))
                raise
            except Exception as error:
                self._reject((redact(described(error)),))
                raise
        self._accept(done)
        return done

    def request(self) -> None:
        """Request a reload; it follows soon, or when the App runs."""
        self._is_requested = True
        if self._requested is not None:
            self._requested.set()

    async def serve(self) -> None:
        """Reload on every request; problems are logged, not raised."""
        while self._requested is not None:
            await self._requested.wait()
            self._requested = anyio.Event()
            await self._reload_and_log()

    async def watch(self) -> None:
        """Reload when a file has changed; problems are logged, not raised."""
        settle = self._settings.own.reload.settle
        try:
            await Watcher(self._sources.files, self._reload_and_log, settle=settle, before=self._contents).run()
        except Exception:  # noqa: BLE001 - the App works without watching
            _log.exception("app %s: its settings are no longer watched", self._app.name)

    async def _reload_and_log(self) -> None:
        await internals_of(self._app).life.started()
        if self._app.state == "running":
            try:
                await self.reload()
            except Exception as error:  # noqa: BLE001 - it was logged; the next reload may succeed
                _log.debug("settings were not read again", exc_info=error)

    # -- applying

    async def _reload(self) -> Reloaded:
        app = self._app
        later = await anyio.to_thread.run_sync(self._load, abandon_on_cancel=True)
        policies = pipeline_policies(app, later)
        check_watching(later)  # or the next start would fail
        before = self._settings.loaded
        found = differences(before, later)
        self._swap(policies, later)
        self._policies = policies
        allowed = OwnSettings(later).chaos.allowed
        if allowed != OwnSettings(before).chaos.allowed:
            for pipeline in app.pipelines.values():
                pipeline.allow_chaos(allowed)
        self._replace(before.taking(later, RELOADABLE))
        self._found_files = self._existing()
        for warning in later.warnings:
            if warning not in before.warnings:
                _log.warning("settings: %s", warning)
        return Reloaded(
            tuple(each.path for each in found if each.section in RELOADABLE),
            tuple(each.path for each in found if each.section not in RELOADABLE),
        )

    def _replace(self, settings: Settings) -> None:
        self._settings.replace(settings)
        life, logs = internals_of(self._app).life, self._settings.own.logs
        if life.log_setup is not None:
            life.log_setup.change(cast("LogLevel", logs.level.upper()), logs.format)

    def _load(self) -> Settings:
        """Read and check all settings; runs in a thread."""
        gone = [file for file in self._found_files if not file.exists()]
        later = None if gone else self._sources.load(self._settings.sections())
        gone = gone or [file for file in self._found_files if not file.exists()]  # meanwhile: then it was read as empty
        if later is None or gone:
            expected = "the file; to drop settings, take them out of it"
            raise SettingsError([SettingsProblem(str(file), "is gone", expected) for file in gone])
        return later

    def _swap(self, policies: Mapping[str, Sequence[Policy]], later: Settings) -> None:
        """Set policies that differ from the last settings.

        Policies that were set by hand stay until their settings change.
        """
        changed: dict[str, Sequence[Policy]] = {}
        for name, in_code in self._in_code.items():
            now = tuple(policies.get(name, in_code))
            if now != tuple(self._policies.get(name, in_code)):
                changed[name] = now
        set_policies(self._app, changed, later)

    # -- reporting

    def _accept(self, done: Reloaded) -> None:
        app = self._app
        self._applied += 1
        self._problems = ()
        self._needs_restart = done.needs_restart
        self._outcomes.add(outcome="applied")
        self._valid.set(1)
        self._waiting.set(len(done.needs_restart))
        _log.info("app %s: settings were read again; changed: %s", app.name, ", ".join(done.changed) or "nothing")
        if done.needs_restart:
            _log.warning("app %s: changed settings need a restart: %s", app.name, ", ".join(done.needs_restart))
        app.events.emit(SettingsReloaded(app=app.name, changed=done.changed, needs_restart=done.needs_restart))

    def _reject(self, problems: tuple[str, ...]) -> None:
        app = self._app
        self._rejected += 1
        self._problems = problems
        self._outcomes.add(outcome="rejected")
        self._valid.set(0)
        _log.error("app %s: settings are wrong and change nothing: %s", app.name, "; ".join(problems))
        app.events.emit(SettingsRejected(app=app.name, problems=problems))


def check_watching(settings: Settings) -> None:
    """Check that files can be watched, where the settings want it.

    :raises SettingsError: watchfiles is not installed
    """
    if OwnSettings(settings).reload.watch and not can_watch():
        expected = "watchfiles: pip install 'corten[reload]'; or false"
        raise SettingsError([SettingsProblem("reload.watch", "no library that watches files is installed", expected)])
