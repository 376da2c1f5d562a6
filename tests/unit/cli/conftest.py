"""A project in a folder of its own, and the command run in it."""

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from corten.cli.group import corten

_numbers = itertools.count()

SERVICE = """
import msgspec
from corten import App, Retry
from corten.secrets import Secret

class Own(msgspec.Struct):
    greeting: str = "hello"
    level: int = 0
    api_key: str = ""
    dsn: Secret | None = None

app = App("demo", settings=Own, autoload=False)
"""


class Project:
    """Files, and what the command says about them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = ""

    def service(self, code: str = "", *, base: str = SERVICE) -> str:
        """Write the module; gives back its import string."""
        # A module stays imported for the whole test run, and its App lives once: each has a name of its own.
        self.name = f"service_{next(_numbers)}"
        (self.folder / f"{self.name}.py").write_text(base + code)
        return f"{self.name}:app"

    def settings(self, toml: str) -> None:
        (self.folder / "corten.toml").write_text(toml)

    def corten(self, *arguments: str, environ: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(corten, list(arguments), env=environ, prog_name="corten")

    def json(self, *arguments: str) -> Any:
        return json.loads(self.corten(*arguments, "--json").stdout)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in os.environ:
        if name.startswith("CORTEN_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Project(tmp_path)
