"""Signals to a program that is an App: the first stops it phase by phase, the second ends it at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

PROGRAM = """
import os, sys, time
import anyio
from corten.app import App
from corten.plugins import Resource, Task
from contextlib import asynccontextmanager

WHERE, BACKEND = sys.argv[1], sys.argv[2]
app = App("signalled", autoload=False, config=None, arguments={{"shutdown.deadline": "20s"}})

def say(word):
    os.write(1, (word + "\\n").encode())

async def here(word):
    if word == WHERE:
        say("now")
        if word.startswith("block"):
            time.sleep(30)
        await anyio.sleep(30)

class Pool: pass

@asynccontextmanager
async def opened(app):
    await here("open")
    yield Pool()
    say("closed")

app.add(Resource(Pool, opened))

@app.task
async def work():
    await here("block")
    if WHERE in ("run", "drain"):
        say("now")
    await anyio.sleep_forever()

stopping = anyio.Event()

async def drains():
    await stopping.wait()

async def stop():
    say("stopping")
    await here("drain-hangs")
    stopping.set()

app.add(Task("drains", drains, stop))
{more}
app.run(backend=BACKEND)
say("end")
"""


@contextmanager
def program(folder: Path, where: str, backend: str, more: str = "", **environ: str) -> Iterator[subprocess.Popen[str]]:
    file = folder / "program.py"
    file.write_text(PROGRAM.format(more=textwrap.dedent(more)))
    process = subprocess.Popen(
        [sys.executable, "-u", str(file), where, backend],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error", **environ},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    _, errors = process.communicate()
    pytest.fail(f"the program ended before it said {word!r}: {errors}")


backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@backends
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["open", "run"])
def test_the_first_signal_stops_cleanly(tmp_path: Path, backend: str, number: int, where: str) -> None:
    with program(tmp_path, where, backend) as process:
        until(process, "now")
        process.send_signal(number)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert out.endswith("end\n")
    if where == "run":
        assert "stopping" in out
        assert "closed" in out


@backends
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["drain-hangs", "block"])
def test_the_second_signal_ends_at_once(tmp_path: Path, backend: str, number: int, where: str) -> None:
    with program(tmp_path, where, backend) as process:
        if where == "block":
            until(process, "now")
            process.send_signal(number)
            time.sleep(0.3)  # signals of one kind that come together are one
        else:
            process_is_up(process)
            process.send_signal(number)
            until(process, "now")
            time.sleep(0.3)  # those that come together are one
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 128 + number, errors
    assert time.monotonic() - began < 5
    assert "second signal" in errors


@backends
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_a_launcher_hands_on_as_well_is_one(tmp_path: Path, backend: str, number: int) -> None:
    with program(tmp_path, "run", backend) as process:
        until(process, "now")
        process.send_signal(number)
        time.sleep(0.02)
        process.send_signal(number)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "second signal" not in errors
    assert "closed" in out


def process_is_up(process: subprocess.Popen[str]) -> None:
    """Wait until it logs that it runs."""
    assert process.stderr is not None
    for line in process.stderr:
        if "is running" in line:
            return
    pytest.fail("the program never ran")


@backends
def test_a_task_that_fails_for_good_ends_the_program_with_one(tmp_path: Path, backend: str) -> None:
    more = """
        @app.task(restart=False)
        async def fragile():
            await anyio.sleep(0.1)
            raise ValueError("broken for good")
    """
    with program(tmp_path, "nowhere", backend, more) as process:
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 1, errors
    assert "corten: app 'signalled' has failed (exit code 1)\n  ValueError: broken for good" in errors
    assert "closed" in out


@backends
def test_what_refuses_to_end_does_not_hold_up_the_program(tmp_path: Path, backend: str) -> None:
    more = """
        async def stubborn():
            while True:
                try:
                    await anyio.sleep_forever()
                except BaseException:
                    say("refuses")
        app.add(Task("stubborn", stubborn))

        @app.task
        async def stops():
            await anyio.sleep(0.2)
            app.stop()
        app.configure(arguments={"shutdown.deadline": "1s"})
    """
    with program(tmp_path, "nowhere", backend, more) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1, errors
    assert "task 'stubborn' did not stop and is left behind" in errors


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ("app.configure(arguments={'shutdown.deadlin': 3})", 78, "shutdown.deadlin"),
        (
            """
            @asynccontextmanager
            async def away(app):
                raise ConnectionRefusedError(111, "refused")
                yield
            app.add(Resource(int, away))
            """,
            69,
            "resource int cannot be opened: ConnectionRefusedError",
        ),
        (
            """
            import socket
            from corten.asgi import serve
            taken = socket.create_server(("127.0.0.1", 0))
            app.add(serve(None, port=taken.getsockname()[1]))
            """,
            69,
            "is in use: stop what listens there",
        ),
        (
            """
            from corten.hookspecs import hookimpl
            from corten.app.internals import internals_of
            from corten.plugins.loading import Plugins
            class BadPlugin:
                @hookimpl
                def corten_resources(self, app):
                    raise ValueError("no good")
            internals_of(app).settings.plugins = Plugins([BadPlugin()])
            """,
            70,
            "plugin 'bad' (passed in code): corten_resources failed: ValueError: no good",
        ),
        ("app.run(loop='nothing')", 2, "loop is 'nothing'; expected \"uvloop\""),
    ],
    ids=["settings", "server away", "port in use", "plugin", "usage"],
)
def test_what_stops_the_start_is_said_without_a_traceback(tmp_path: Path, more: str, code: int, words: str) -> None:
    with program(tmp_path, "nowhere", "asyncio", more) as process:
        out, errors = process.communicate(timeout=20)
    assert process.returncode == code, errors
    assert words in errors
    assert "Traceback" not in errors
    assert out.count("closed") <= 1


@pytest.mark.parametrize("level", ["info", "debug"])
def test_who_wants_the_traceback_gets_it(tmp_path: Path, level: str) -> None:
    more = """
        from corten.hookspecs import hookimpl
        from corten.app.internals import internals_of
        from corten.plugins.loading import Plugins
        class BadPlugin:
            @hookimpl
            def corten_settings(self):
                raise KeyError("no good")
        internals_of(app).settings.plugins = Plugins([BadPlugin()])
    """
    with program(tmp_path, "nowhere", "asyncio", more, CORTEN_LOGS__LEVEL=level) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 70
    assert ("For the traceback: CORTEN_LOGS__LEVEL=debug" in errors) is (level == "info")
    assert ("Traceback" in errors) is (level == "debug")
