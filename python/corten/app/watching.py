"""Watching files: who asks is told when the contents of one of them are others than before.

Not the files are watched but the folders they are in, for editors save by renaming and orchestrators by exchanging
links to folders; what counts are the contents. They are looked at every few seconds in any case: no notice comes from
network file systems, nor when a folder was exchanged as a whole.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, cast

import anyio

_log = logging.getLogger("corten.app")

LOOK: Final = 5.0
"""Seconds after which the contents are looked at when nobody has noticed anything."""

LONGEST: Final = 1.6
"""Seconds after which a file that never comes to rest is read all the same; more, where settling takes longer."""

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
        pending = [file.absolute()]
        for _ in range(_MOST_LINKS):
            if not pending:
                break
            path = pending.pop()
            found[path.parent] = None
            for step in (path, *path.parents):
                if step.is_symlink():
                    found[step.parent] = None
                    pending.append(step.parent / step.readlink() / path.relative_to(step))
                    break
    return tuple(folder for folder in found if folder.is_dir())


def can_watch() -> bool:
    """Whether there is what watches: `watchfiles`, of ``corten[reload]``."""
    from importlib.util import find_spec

    return find_spec("watchfiles") is not None


async def watch(
    files: Sequence[Path], on_change: Callable[[], Awaitable[object]], *, settle: float, before: Contents
) -> None:
    """Call ``on_change`` whenever contents have changed, until cancelled.

    :param settle: seconds for which nothing must happen in the folders before files are looked at
    :param before: the contents that are known already
    """
    said = False
    while True:
        watched = folders(files)
        try:
            async with aclosing(_rounds(watched, settle)) as rounds:
                async for _ in rounds:
                    now = contents(files)
                    if now != before:
                        before = now
                        await on_change()
                    if folders(files) != watched:
                        break
        except OSError as error:  # no more watches to be had (inotify), or a folder went away just now
            if not said:
                said = True
                _log.warning("settings: no notice of changed files, they are looked at every %g s: %s", LOOK, error)
            await anyio.sleep(LOOK)
            if (now := contents(files)) != before:
                before = now
                await on_change()


async def _rounds(watched: Sequence[Path], settle: float) -> AsyncGenerator[None]:
    """Comes round when something has happened in the folders, and every few seconds."""
    if not watched:
        await anyio.sleep(LOOK)
        yield
        return
    from watchfiles import awatch

    rounds = awatch(
        *watched,
        watch_filter=None,
        step=round(settle * 1000),
        debounce=round(max(LONGEST, 2 * settle) * 1000),
        rust_timeout=round(LOOK * 1000),
        yield_on_timeout=True,
        ignore_permission_denied=True,
        recursive=False,
    )
    async with aclosing(cast("AsyncGenerator[object]", rounds)):
        async for _ in rounds:
            yield
