"""Reading the settings again while the App runs: checked whole, then all of it holds, or none."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import msgspec

from corten.app.pipelines import pipeline_policies, set_policies
from corten.app.settings.own import OwnSettings
from corten.app.settings.watching import Contents, Watcher, can_watch, contents
from corten.errors import CortenError, SettingsError, SettingsProblem, described
from corten.events import SettingsRejected, SettingsReloaded
from corten.secrets import redact
from corten.settings.display.difference import differences

if TYPE_CHECKING:
    from pathlib import Path

    from corten.app.app import App
    from corten.app.settings.settings import SettingsSources
    from corten.policies import Policy
    from corten.settings import Settings

_log = logging.getLogger("corten.app")

RELOADABLE: Final = ("pipelines", "chaos", "flags", "logs", "shutdown")
"""Sections, and keys at the top of the file, that take effect while the App runs. Everything else was handed out when
it started: to resources, plugins, tasks, and to the user's own code."""


class Reloaded(msgspec.Struct, frozen=True):
    """What reading the settings again has changed."""

    changed: tuple[str, ...]
    """The settings that have other values now: ``pipelines.users.policies``."""
    needs_restart: tuple[str, ...]
    """Those that were changed and hold from the next start on."""


class ReloadStatistics(msgspec.Struct, frozen=True):
    """How reading the settings again has gone."""

    applied: int
    """How often they were read and held."""
    rejected: int
    """How often something was wrong with them, and nothing was changed."""
    problems: tuple[str, ...]
    """What was wrong the last time; empty where nothing was."""
    needs_restart: tuple[str, ...]
    """Settings that were changed and hold from the next start on."""


class Reloading:
    """Reads the settings of a running App again: when asked, on SIGHUP, when a file has changed."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._applied = self._rejected = 0
        self._problems: tuple[str, ...] = ()
        self._needs_restart: tuple[str, ...] = ()
        self._asked: anyio.Event | None = None
        self._was_asked = False

    def begin(self, policies: Mapping[str, Sequence[Policy]]) -> None:
        """The App starts with these policies of its settings; before they are set."""
        app = self._app
        self._lock = anyio.Lock()
        self._asked = anyio.Event()
        if self._was_asked:
            self._asked.set()
        self._sources: SettingsSources = app.sources.anchored()
        self._in_code = {name: pipeline.policies for name, pipeline in app.components.pipelines.items()}
        self._policies = dict(policies)
        watched = self._sources.files if app.own_settings.reload.watch else ()
        self._contents: Contents = contents(watched)  # as it was read: a start may take its time
        self._there = self._existing()
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
        """How it has gone so far."""
        return ReloadStatistics(self._applied, self._rejected, self._problems, self._needs_restart)

    # -- on whose request

    async def reload(self) -> Reloaded:
        """Read the settings again; what can change while running changes, all of it or nothing.

        :raises CortenError: the App is not running
        :raises SettingsError: something is wrong with them; nothing has changed
        """
        if self._app.state != "running":
            raise CortenError(f"app {self._app.name!r} is {self._app.state}: settings are read again while it runs")
        async with self._lock:  # two at once might end with the older of two files
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

    def ask(self) -> None:
        """Have the settings read again soon, or when the App runs; from its event loop."""
        self._was_asked = True
        if self._asked is not None:
            self._asked.set()

    async def attend(self) -> None:
        """Read them whenever somebody asks; what is wrong is told, not raised."""
        while self._asked is not None:
            await self._asked.wait()
            self._asked = anyio.Event()
            await self._quietly()

    async def watch(self) -> None:
        """Read them whenever a file has changed; what is wrong is told, not raised."""
        settle = self._app.own_settings.reload.settle
        try:
            await Watcher(self._sources.files, self._quietly, settle=settle, before=self._contents).run()
        except Exception:  # noqa: BLE001 - an App is more than its settings file
            _log.exception("app %s: its settings are not watched any more", self._app.name)

    async def _quietly(self) -> None:
        await self._app.life.started()
        if self._app.state == "running":
            try:
                await self.reload()
            except Exception as error:  # noqa: BLE001 - it was told; what comes next may be right
                _log.debug("settings were not read again", exc_info=error)

    # -- how

    async def _reload(self) -> Reloaded:
        app = self._app
        later = await anyio.to_thread.run_sync(self._load, abandon_on_cancel=True)
        policies = pipeline_policies(app, later)
        check_watching(later)  # so that the next start would not fail of it
        before = app.loaded
        found = differences(before, later)
        self._swap(policies, later)
        self._policies = policies
        allowed = OwnSettings(later).chaos.allowed
        if allowed != OwnSettings(before).chaos.allowed:
            for pipeline in app.components.pipelines.values():
                pipeline.allow_chaos(allowed)
        app.reloaded(before.taking(later, RELOADABLE))
        self._there = self._existing()
        for warning in later.warnings:
            if warning not in before.warnings:
                _log.warning("settings: %s", warning)
        return Reloaded(
            tuple(each.path for each in found if each.section in RELOADABLE),
            tuple(each.path for each in found if each.section not in RELOADABLE),
        )

    def _load(self) -> Settings:
        """Read and check all of them, in a thread: a file may be far away."""
        gone = [file for file in self._there if not file.exists()]
        later = None if gone else self._sources.load(self._app.sections())
        gone = gone or [file for file in self._there if not file.exists()]  # meanwhile, so it was read as empty
        if later is None or gone:
            expected = "the file; what shall hold no longer is taken out of it"
            raise SettingsError([SettingsProblem(str(file), "is gone", expected) for file in gone])
        return later

    def _swap(self, policies: Mapping[str, Sequence[Policy]], later: Settings) -> None:
        """Set what is different: a pipeline that was changed by hand stays so until its settings change."""
        changed: dict[str, Sequence[Policy]] = {}
        for name, in_code in self._in_code.items():
            now = tuple(policies.get(name, in_code))
            if now != tuple(self._policies.get(name, in_code)):
                changed[name] = now
        set_policies(self._app, changed, later)

    # -- telling

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
    """Whether files can be watched, where the settings want it.

    :raises SettingsError: what watches is not installed
    """
    if OwnSettings(settings).reload.watch and not can_watch():
        expected = "watchfiles: pip install 'corten[reload]'; or false"
        raise SettingsError([SettingsProblem("reload.watch", "nothing is installed that watches files", expected)])
