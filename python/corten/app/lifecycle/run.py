"""``app.run()``: the App as a program, with signals, logging and exit codes.

The first SIGINT or SIGTERM stops the App phase by phase; a second one ends the process at once. SIGHUP reloads the
settings. Handlers are those of the `signal` module, which act even while the event loop is blocked.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

import anyio

from corten.app.internals import internals_of
from corten.app.lifecycle import exit_codes
from corten.app.lifecycle.lifecycle import Lifecycle, StoppedWhileStarting
from corten.errors import CortenError, described
from corten.event_loop import loop_caller, on_trio
from corten.logs import LogLevel, configure

if TYPE_CHECKING:
    from corten.app.app import App

_log = logging.getLogger("corten.app")

Backend = Literal["asyncio", "trio"]
Loop = Literal["uvloop"] | Callable[[], asyncio.AbstractEventLoop] | None

SIGNALS = (signal.SIGINT, signal.SIGTERM)
RELOAD = getattr(signal, "SIGHUP", None)
"""The signal that reloads the settings; None on Windows."""
SAME_SIGNAL = 0.2
"""Seconds within which several signals count as one. Ctrl-C reaches the terminal's whole process group, and launchers
such as `uv run` and `timeout` forward it too: it comes twice within milliseconds."""


class Signals:
    """Handles signals for a running App."""

    def __init__(self, life: Lifecycle) -> None:
        self._life = life
        self._received: int | None = None
        self._at = 0.0
        self._wake: Callable[[Callable[[], object]], object] | None = None
        self._reload_requested = False
        self._has_terminal = _is_terminal()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Stop the App, or on the second signal the process.

        Called between two bytecodes of the main thread.
        """
        now = time.monotonic()
        if self._received is not None:
            if now - self._at < SAME_SIGNAL:
                return
            # Not sys.exit: a hanging task would delay it.
            os.write(2, f"corten: second signal ({signal.Signals(number).name}): left at once\n".encode())
            os._exit(exit_codes.SIGNAL + number)
        self._received = number
        self._at = now
        if self._wake is not None:
            self._wake(self._stop)

    def handle_reload(self, number: int, frame: FrameType | None) -> None:
        """Reload the settings, unless SIGHUP means that the terminal closed."""
        if self._has_terminal and not _is_terminal():
            self.handle(number, frame)
        elif self._wake is not None:
            self._wake(self._life.reloader.request)
        else:  # no event loop yet: the settings may have been read already
            self._reload_requested = True

    def connect(self) -> None:
        """Act on signals in the running event loop, earlier ones included."""
        self._wake = loop_caller()
        if self._received is not None and self._wake is not None:
            self._wake(self._stop)
        if self._reload_requested and self._wake is not None:
            self._wake(self._life.reloader.request)

    def disconnect(self) -> None:
        """Stop acting on signals: the event loop ends."""
        self._wake = None

    def _stop(self) -> None:
        number = self._received
        assert number is not None  # noqa: S101 - for the type checker
        self._life.request_stop(signal.Signals(number).name, pre_drain=number == signal.SIGTERM)

    @contextmanager
    def installed(self) -> Generator[None, None, None]:
        """Handle signals in the block, unless they have handlers; main thread only."""
        before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    before[number] = signal.signal(number, self.handle)
            # Also where `nohup` ignores it, so that a closing terminal ends nothing: a reload ends nothing.
            if RELOAD is not None and signal.getsignal(RELOAD) in (signal.SIG_DFL, signal.SIG_IGN):
                before[RELOAD] = signal.signal(RELOAD, self.handle_reload)
        try:
            yield
        finally:
            if self._received is not None:
                # An App that stops quickly must still catch the repeated signal: the default handler kills.
                time.sleep(max(0.0, self._at + SAME_SIGNAL - time.monotonic()))
            for number, handler in before.items():
                signal.signal(number, handler)


def _is_terminal() -> bool:
    """Return whether there is a terminal; False after it has closed."""
    try:
        return os.isatty(0)
    except OSError:
        return False


def run(app: App[Any], *, backend: Backend = "asyncio", loop: Loop = None) -> int:
    """Run an App to its end, and print errors on stderr.

    :returns: the exit code
    """
    life = internals_of(app).life
    signals = Signals(life)
    with signals.installed():
        try:
            options = _backend_options(backend, loop)
        except CortenError as error:
            return _report(app, error, exit_codes.USAGE)
        try:
            app.load()
        except Exception as error:  # noqa: BLE001 - reported below, without a traceback
            # The settings that would say so could not be read.
            if os.environ.get("CORTEN_LOGS__LEVEL", "").lower() == "debug":
                configure("DEBUG", app=app.name)
            return _report(app, error, exit_codes.of(error))
        with logging_set_up(app):
            code: int = anyio.run(_main, app, life, signals, backend=backend, backend_options=options)
    return code


async def _main(app: App[Any], life: Lifecycle, signals: Signals) -> int:
    signals.connect()
    try:
        with _woken_by_signals():
            return await _live(app, life)
    finally:
        signals.disconnect()


@contextmanager
def _woken_by_signals() -> Generator[None, None, None]:
    """Wake asyncio's loop in the block when a signal comes, as trio and uvloop do themselves.

    Python runs signal handlers between bytecodes. A signal that comes just before the loop starts to wait would
    otherwise be handled only when something else ends that wait (`signal.set_wakeup_fd`).
    """
    if on_trio() or sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        if before != -1:  # the loop has one of its own
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(reader, reader.recv, 4096)
        try:
            yield
        finally:
            loop.remove_reader(reader)
            signal.set_wakeup_fd(-1)


async def _live(app: App[Any], life: Lifecycle) -> int:
    try:
        await life.enter()
    except StoppedWhileStarting:
        return exit_codes.OK
    except Exception as error:  # noqa: BLE001 - reported; it has its exit code
        return _report(app, error, exit_codes.of(error))
    code = exit_codes.OK
    try:
        await life.over.wait()
        if life.failure is not None:
            code = _report(app, life.failure, exit_codes.FAILED, "has failed")
    finally:
        await life.stopped()
        if life.left_behind:
            _exit_now(_report(app, ExceptionGroup("", life.errors), exit_codes.FAILED, "did not stop cleanly"))
        try:
            await life.leave(None)
        except ExceptionGroup as group:
            code = _report(app, group, exit_codes.FAILED, "did not stop cleanly")
    return code


def _needs_traceback(error: BaseException) -> bool:
    """Return whether error or cause is neither ours nor the operating system's."""
    if isinstance(error, CortenError):
        return error.__cause__ is not None and not isinstance(error.__cause__, CortenError | OSError)
    return not isinstance(error, OSError)


def _exit_now(code: int) -> NoReturn:
    """End the process at once: unfinished tasks would block a normal exit."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _report(app: App[Any], error: BaseException, code: int, what: str = "did not start") -> int:
    """Print an error on stderr; log its traceback at level debug."""
    lines = [f"corten: app {app.name!r} {what} (exit code {code})"]
    for leaf in exit_codes.leaves(error):
        words = str(leaf) if isinstance(leaf, CortenError) else described(leaf)
        lines += [f"  {line}" for text in (words, *getattr(leaf, "__notes__", ())) for line in text.splitlines()]
    file = internals_of(app).settings.sources.missing()
    if file is not None and code == exit_codes.SETTINGS:
        lines.append(f"  There is no settings file {file.absolute()}")
    if any(_needs_traceback(leaf) for leaf in exit_codes.leaves(error)) and not _log.isEnabledFor(logging.DEBUG):
        lines.append("  For the traceback: CORTEN_LOGS__LEVEL=debug")
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
    _log.debug("app %s %s", app.name, what, exc_info=error)
    return code


@contextmanager
def logging_set_up(app: App[Any]) -> Generator[None, None, None]:
    """Set up logging in the block, unless the program has."""
    internals = internals_of(app)
    logs, life = internals.settings.own.logs, internals.life
    life.log_setup = configure(cast("LogLevel", logs.level.upper()), logs.format, app=app.name)
    try:
        yield
    finally:
        if life.log_setup is not None:
            life.log_setup()
            life.log_setup = None


def _backend_options(backend: Backend, loop: Loop) -> dict[str, Any]:
    if loop is None:
        return {}
    if backend != "asyncio":
        raise CortenError(f"loop={loop!r} is for asyncio, and the backend is {backend}: leave one of them out")
    if callable(loop):
        return {"loop_factory": loop}
    if loop != "uvloop":
        raise CortenError(f'loop is {loop!r}; expected "uvloop" or a function that makes an event loop')
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        raise CortenError("uvloop is not installed: pip install uvloop, or leave loop out") from None
    return {"loop_factory": uvloop.new_event_loop}
