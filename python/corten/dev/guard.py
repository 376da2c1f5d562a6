"""A small process that ends a server when the program that started it is gone.

    python -m corten.dev.guard --log FILE --signal 15 --grace 5 -- COMMAND …

The program holds the other end of the guard's standard input. When that end closes, because the program has finished or
died, the guard ends the server by its process id: by the signal first, and by SIGKILL after the grace time. The guard
uses only the standard library and can be run by its path.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Final

NOT_STARTED: Final = 127
"""Exit code when the command cannot be started, as in a shell."""
_POLL: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1


def main(arguments: list[str] | None = None) -> int:
    """Run a command until standard input closes or the command ends; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m corten.dev.guard", description=__doc__)
    parser.add_argument("--log", default=os.devnull, help="file for what the command prints")
    parser.add_argument("--signal", type=int, default=int(signal.SIGTERM), help="what asks the command to end")
    parser.add_argument("--grace", type=float, default=5.0, help="seconds until SIGKILL")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    # Ctrl-C goes to every process of the terminal: the program decides when its servers end, not the keyboard.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    die_with_guard = _die_with_parent(options.signal)
    with open(options.log, "ab") as log:  # noqa: PTH123 - pathlib costs half of this small process's start
        try:
            child = subprocess.Popen(  # noqa: S603 - the command is what this program is for
                options.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_guard,  # noqa: PLW1509 - the guard has one thread
            )
        except OSError as error:
            log.write(f"{options.command[0]} cannot be started: {error}\n".encode())
            return NOT_STARTED
    print(child.pid, flush=True)  # noqa: T201 - what the program reads
    while child.poll() is None and not asked:
        readable, _, _ = select.select([sys.stdin], [], [], _POLL)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            break
    return _end(child, options.signal, options.grace)


def _end(child: subprocess.Popen[bytes], number: int, grace: float) -> int:
    if child.poll() is None:
        child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    # What is left of the server's own session goes with it, whether or not the server itself ended well.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _die_with_parent(number: int) -> Callable[[], object] | None:
    """Have the kernel signal the server when the guard is killed; possible on Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    return lambda: prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
