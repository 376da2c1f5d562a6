"""Watching files: call a function when contents have changed.

The folders of the files are watched, for editors save by renaming and orchestrators by replacing links to folders; then
the contents are compared. They are also compared every few seconds: network file systems, and folders replaced as a
whole, give no notice.
"""

from __future__ import annotations

import logging
import os.path
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

_log = logging.getLogger("corten.app")

COMPARE_EVERY: Final = 5.0
"""Seconds between comparisons without a notice."""

COMPARE_FIRST: Final = 0.5
"""Seconds to the first comparison: earlier changes gave no notice."""

LONGEST: Final = 1.6
"""Seconds after which a file that keeps changing is read anyway; twice ``settle`` if that is more."""

_GATHER: Final = 200
"""Milliseconds within which changes become one notice."""

_MOST_LINKS: Final = 40
"""Links followed from one file, as in Linux; links may form a circle."""

Contents = tuple[bytes | None, ...]
"""A hash of each file; None for a file that is missing or cannot be read."""


def contents(files: Sequence[Path]) -> Contents:
    """Return the hashes of files: their contents may be secret."""
    return tuple(_content(file) for file in files)


def _content(file: Path) -> bytes | None:
    import hashlib  # only for watching: it is slow to load

    try:
        return hashlib.blake2b(file.read_bytes()).digest()
    except OSError:
        return None


def folders(files: Sequence[Path]) -> tuple[Path, ...]:
    """Return the folders of files, and of all links to them."""
    found: dict[Path, None] = {}
    for file in files:
        path: Path | None = file.absolute()
        for _ in range(_MOST_LINKS):
            if path is None:
                break
            found[path.parent] = None
            path = _one_link_further(path, found)
    return tuple(folder for folder in found if os.path.isdir(folder))  # noqa: PTH112 - Path's raises without permission


def _one_link_further(path: Path, found: dict[Path, None]) -> Path | None:
    """Resolve the innermost link of a path, or return None; note its folder."""
    for step in (path, *path.parents):
        try:
            target = step.readlink()
        except OSError:  # not a link, or no permission
            continue
        found[step.parent] = None
        return step.parent / target / path.relative_to(step)
    return None


def can_watch() -> bool:
    """Return whether `watchfiles`, of ``corten[reload]``, is installed."""
    from importlib.util import find_spec

    return find_spec("watchfiles") is not None


class Watcher:
    """Calls ``on_change`` when contents have changed and stopped changing.

    :param settle: seconds without a further change
    :param before: the contents that were read last
    """

    def __init__(
        self, files: Sequence[Path], on_change: Callable[[], Awaitable[object]], *, settle: float, before: Contents
    ) -> None:
        self._files = tuple(files)
        self._on_change = on_change
        self._settle = settle
        self._before = before
        self._folders: tuple[Path, ...] = ()
        self._has_warned = False

    async def run(self) -> None:
        """Watch until cancelled."""
        self._noticed = anyio.Event()
        self._stop = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self._notice)
            pause = COMPARE_FIRST
            while True:
                with anyio.move_on_after(pause):
                    await self._noticed.wait()
                self._noticed = anyio.Event()
                await self._compare()
                pause = COMPARE_EVERY
                if folders(self._files) != self._folders:
                    self._stop.set()  # to watch the folders that the links point to now
                    pause = COMPARE_FIRST

    async def _compare(self) -> None:
        now = await self._contents()
        if now == self._before:
            return
        longest = anyio.current_time() + max(LONGEST, 2 * self._settle)
        while True:
            await anyio.sleep(self._settle)
            later = await self._contents()
            if later == now or anyio.current_time() >= longest:
                break
            now = later
        if later != self._before:
            self._before = later
            await self._on_change()

    async def _contents(self) -> Contents:
        return await anyio.to_thread.run_sync(contents, self._files, abandon_on_cancel=True)

    async def _notice(self) -> None:
        """Take notices of changes in the folders from the operating system."""
        while True:
            self._folders = folders(self._files)
            self._stop, moved = anyio.Event(), False
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._stop_when_cancelled)
                    if self._folders:
                        await self._notice_in(self._folders)
                        moved = True
                    group.cancel_scope.cancel()
            # No watches left (inotify), or a folder was removed just now: comparing continues without notices.
            except* Exception as errors:  # noqa: BLE001
                if not self._has_warned:
                    self._has_warned = True
                    why = errors.exceptions[0]
                    _log.warning(
                        "settings: no notice of changed files, they are compared every %g s: %s", COMPARE_EVERY, why
                    )
            if not moved:
                await anyio.sleep(COMPARE_EVERY)

    async def _notice_in(self, watched: Sequence[Path]) -> None:
        from watchfiles import awatch

        notices = awatch(
            *watched,
            watch_filter=None,
            debounce=_GATHER,
            stop_event=self._stop,
            ignore_permission_denied=True,
            recursive=False,
        )
        async for _ in notices:
            self._noticed.set()

    async def _stop_when_cancelled(self) -> None:
        # `awatch` waits in a thread that cancellation does not reach.
        try:
            await anyio.sleep_forever()
        finally:
            self._stop.set()
