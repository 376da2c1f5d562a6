"""Watching files: who asks is told when the contents of one of them are others than before.

Not the files are watched but the folders they are in, for editors save by renaming and orchestrators by exchanging
links to folders; what counts are the contents. They are looked at every few seconds in any case: no notice comes from
network file systems, nor when a folder was exchanged as a whole.
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

LOOK: Final = 5.0
"""Seconds after which the contents are looked at when nobody has noticed anything."""

SOON: Final = 0.5
"""The same just after watching began: what happened until then was not noticed."""

LONGEST: Final = 1.6
"""Seconds after which a file that never comes to rest is read all the same; more, where settling takes longer."""

_GATHER: Final = 200
"""Milliseconds for which changes are gathered to one notice."""

_MOST_LINKS: Final = 40
"""Links followed from one file, as in Linux; they may lead round in a circle."""

Contents = tuple[bytes | None, ...]
"""For each file a hash of what is in it; None where there is none, or it cannot be read."""


def contents(files: Sequence[Path]) -> Contents:
    """What is in the files now; hashed, for there may be secrets in them."""
    return tuple(_content(file) for file in files)


def _content(file: Path) -> bytes | None:
    import hashlib  # only where somebody watches: it is slow to load

    try:
        return hashlib.blake2b(file.read_bytes()).digest()
    except OSError:
        return None


def folders(files: Sequence[Path]) -> tuple[Path, ...]:
    """The folders in which something happens when one of the files is replaced, or a link on the way to it."""
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
    """Where a path leads by its innermost link, whose folder is noted; None where there is no link in it."""
    for step in (path, *path.parents):
        try:
            target = step.readlink()
        except OSError:  # it is none, or nobody may know
            continue
        found[step.parent] = None
        return step.parent / target / path.relative_to(step)
    return None


def can_watch() -> bool:
    """Whether there is what watches: `watchfiles`, of ``corten[reload]``."""
    from importlib.util import find_spec

    return find_spec("watchfiles") is not None


class Watcher:
    """Calls ``on_change`` whenever contents have changed and came to rest.

    :param settle: seconds for which contents must stay the same before they count
    :param before: the contents that are known already
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
            pause = SOON
            while True:
                with anyio.move_on_after(pause):
                    await self._noticed.wait()
                self._noticed = anyio.Event()
                await self._look()
                pause = LOOK
                if folders(self._files) != self._folders:
                    self._stop.set()  # to watch where the links lead now
                    pause = SOON

    async def _look(self) -> None:
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
        """Have the operating system tell of what happens in the folders."""
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
            # No more watches to be had (inotify), a folder that went away just now: looking goes on without.
            except* Exception as errors:  # noqa: BLE001
                if not self._has_warned:
                    self._has_warned = True
                    why = errors.exceptions[0]
                    _log.warning("settings: no notice of changed files, they are looked at every %g s: %s", LOOK, why)
            if not moved:
                await anyio.sleep(LOOK)

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
        # It waits in a thread, which no cancellation reaches.
        try:
            await anyio.sleep_forever()
        finally:
            self._stop.set()
