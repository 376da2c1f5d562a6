"""Settings that change while the App runs: real files, the real watcher, the real signal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.servers.process import wait_until

from corten import App, Pipeline, Timeout
from corten.events import SettingsRejected, SettingsReloaded

pytest.importorskip("watchfiles")

pytestmark = [pytest.mark.anyio, pytest.mark.services]

LIMIT = 20.0
"""Seconds; the watcher looks every five in any case."""


def text(seconds: float) -> str:
    policies = f'[pipelines.a]\npolicies = [{{ policy = "timeout", seconds = {seconds} }}]\n'
    return f'[reload]\nwatch = true\nsettle = "50ms"\n{policies}'


class Watched:
    """An App whose settings are watched, and what it told."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.app: App[Any] = App("x", config=file, autoload=False)
        self.pipeline = self.app.add(Pipeline("a"))
        self.told: list[SettingsReloaded | SettingsRejected] = []
        self.app.events.subscribe(self.told.append, SettingsReloaded)
        self.app.events.subscribe(self.told.append, SettingsRejected)

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.move_on_after(LIMIT):
            while not condition():  # noqa: ASYNC110 - what is polled is the watcher's doing
                await anyio.sleep(0.01)
        assert condition(), self.told

    async def shows(self, seconds: float) -> None:
        await self.until(lambda: self.pipeline.policies == (Timeout(seconds),))

    async def rejects(self, count: int = 1) -> None:
        await self.until(lambda: self.app.reload_statistics().rejected >= count)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    file = tmp_path / "corten.toml"
    file.write_text(text(1))
    return Watched(file)


def renamed(file: Path, content: str) -> None:
    """Save as editors do."""
    other = file.with_name(f".{file.name}.swp")
    other.write_text(content)
    other.replace(file)


async def test_a_file_that_is_written_anew_is_read(watched: Watched) -> None:
    async with watched.app:
        watched.file.write_text(text(2))
        await watched.shows(2)
        watched.file.write_text(text(3))
        await watched.shows(3)


async def test_a_file_that_is_saved_by_renaming_is_read_again_and_again(watched: Watched) -> None:
    async with watched.app:
        for seconds in (2, 3, 4):
            renamed(watched.file, text(seconds))
            await watched.shows(seconds)


async def test_dotenv_is_watched_as_well_also_where_there_was_none(watched: Watched) -> None:
    async with watched.app:
        watched.file.with_name(".env").write_text("CORTEN_FLAGS__NEW=on\n")
        await watched.until(lambda: watched.app.flags.is_enabled("new"))


async def test_a_config_map_whose_link_is_exchanged_is_read(tmp_path: Path) -> None:
    def publish(version: int) -> None:
        """As the kubelet does: a new folder, a new link to it, renamed over the old one."""
        folder = tmp_path / f"..version_{version}"
        folder.mkdir()
        (folder / "corten.toml").write_text(text(version))
        link = tmp_path / "..data_tmp"
        link.symlink_to(folder.name)
        link.replace(tmp_path / "..data")

    publish(1)
    (tmp_path / "corten.toml").symlink_to("..data/corten.toml")
    watched = Watched(tmp_path / "corten.toml")
    async with watched.app:
        for version in (2, 3, 4):
            publish(version)
            await watched.shows(version)
    assert all(isinstance(event, SettingsReloaded) for event in watched.told)


async def test_a_link_to_a_file_elsewhere_is_followed_wherever_it_leads_next(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"release-{number}").mkdir()
        (tmp_path / f"release-{number}" / "settings.toml").write_text(text(number))
    service = tmp_path / "service"
    service.mkdir()
    current = tmp_path / "current"
    current.symlink_to("release-1")
    (service / "corten.toml").symlink_to(current / "settings.toml")
    watched = Watched(service / "corten.toml")
    async with watched.app:
        link = tmp_path / "link"
        link.symlink_to("release-2")
        link.replace(current)
        await watched.shows(2)
        (tmp_path / "release-2" / "settings.toml").write_text(text(3))
        await watched.shows(3)


async def test_a_folder_that_is_exchanged_as_a_whole_is_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "corten.toml").write_text(text(1))
    watched = Watched(folder / "corten.toml")
    async with watched.app:
        folder.rename(tmp_path / "before")
        folder.mkdir()
        (folder / "corten.toml").write_text(text(2))
        await watched.shows(2)


async def test_a_half_written_file_changes_nothing_until_it_is_whole(watched: Watched) -> None:
    async with watched.app:
        whole = text(2)
        watched.file.write_text(whole[:-20])
        await watched.rejects()
        assert watched.pipeline.policies == (Timeout(1.0),)
        watched.file.write_text(whole)
        await watched.shows(2)
        assert watched.app.reload_statistics().problems == ()


async def test_a_file_that_vanishes_changes_nothing_and_is_read_when_it_is_back(watched: Watched) -> None:
    async with watched.app:
        watched.file.unlink()
        await watched.rejects()
        assert watched.pipeline.policies == (Timeout(1.0),)
        assert "is gone" in watched.app.reload_statistics().problems[0]
        watched.file.write_text(text(2))
        await watched.shows(2)


async def test_a_hundred_quick_changes_end_with_the_last_one(watched: Watched) -> None:
    async with watched.app:

        def change() -> None:
            for number in range(2, 102):
                (renamed if number % 2 else Path.write_text)(watched.file, text(number))

        thread = threading.Thread(target=change)
        thread.start()
        await watched.shows(101)
        thread.join()
        assert watched.app.reload_statistics().applied < 50


async def test_a_file_that_is_only_touched_is_not_read(watched: Watched) -> None:
    async with watched.app:
        watched.file.touch()
        watched.file.write_text(text(1))
        watched.file.with_name("other").write_text("x")
        watched.file.write_text(text(2))
        await watched.shows(2)
        assert watched.app.reload_statistics().applied == 1


async def test_without_watching_nothing_is_read(watched: Watched) -> None:
    watched.file.write_text(text(1).replace("watch = true", "watch = false"))
    async with watched.app:
        watched.file.write_text(text(2))
        await anyio.wait_all_tasks_blocked()
        assert watched.pipeline.policies == (Timeout(1.0),)
        await watched.app.reload()
        assert watched.pipeline.policies == (Timeout(2.0),)


async def test_where_no_notice_can_be_had_contents_are_looked_at(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("watchfiles.awatch", refuse)
    monkeypatch.setattr("corten.app.settings.watching.COMPARE_EVERY", 0.05)
    async with watched.app:
        watched.file.write_text(text(2))
        await watched.shows(2)
        watched.file.write_text(text(3))
        await watched.shows(3)
    assert caplog.text.count("no notice of changed files") == 1


async def test_links_that_lead_in_a_circle_end_nothing(watched: Watched) -> None:
    async with watched.app:
        watched.file.unlink()
        watched.file.symlink_to(watched.file)
        await watched.rejects()
        assert watched.app.state == "running"
        watched.file.unlink()
        watched.file.write_text(text(2))
        await watched.shows(2)


# -- as a process

PROGRAM = """
from corten import App, Pipeline
from corten.events import SettingsRejected, SettingsReloaded

app = App("x", autoload=False)
app.add(Pipeline("a"))
app.events.subscribe(lambda event: print(type(event).__name__, event, flush=True), SettingsReloaded)
app.events.subscribe(lambda event: print(type(event).__name__, event, flush=True), SettingsRejected)

@app.task
async def say() -> None:
    print("running", flush=True)
    await app.clock.sleep(60)

app.run(backend=BACKEND)
print("ended", flush=True)
"""


class Process:
    """The program, and what it printed."""

    def __init__(self, folder: Path, backend: str, stdin: int) -> None:
        (folder / "program.py").write_text(PROGRAM.replace("BACKEND", repr(backend)))
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "program.py"],
                cwd=folder,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.until("running")

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def until(self, words: str) -> None:
        wait_until(lambda: words in self.text() or self.process.poll() is not None, LIMIT)
        assert words in self.text(), self.text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def make(backend: str = "asyncio", stdin: int = subprocess.DEVNULL) -> Process:
        started.append(Process(tmp_path, backend, stdin))
        return started[-1]

    yield make
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_sighup_has_the_settings_read_again(tmp_path: Path, backend: str, start: Callable[..., Process]) -> None:
    file = tmp_path / "corten.toml"
    unwatched = text(1).replace("watch = true", "watch = false")
    file.write_text(unwatched)
    program = start(backend)
    file.write_text("[pip")
    program.process.send_signal(signal.SIGHUP)
    program.until("SettingsRejected")
    file.write_text(unwatched.replace("seconds = 1", "seconds = 2"))
    program.process.send_signal(signal.SIGHUP)
    program.until("changed=('pipelines.a.policies',)")
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(LIMIT) == 0
    assert "ended" in program.text()


def test_in_a_terminal_sighup_reads_the_settings_while_it_is_there_and_stops_when_it_is_gone(
    tmp_path: Path, start: Callable[..., Process]
) -> None:
    (tmp_path / "corten.toml").write_text(text(1))
    ours, theirs = pty.openpty()
    program = start(stdin=theirs)
    os.close(theirs)
    try:
        program.process.send_signal(signal.SIGHUP)
        program.until("SettingsReloaded")
    finally:
        os.close(ours)
    program.process.send_signal(signal.SIGHUP)
    assert program.process.wait(LIMIT) == 0
    assert "ended" in program.text()
