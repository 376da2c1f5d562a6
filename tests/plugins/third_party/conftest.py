"""Third-party plugins as real wheels: written, built, installed into a folder, used by a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "{version}"
dependencies = ["corten"]

[project.entry-points."corten.plugins"]
{name} = "{module}:{target}"

[tool.hatch.build.targets.wheel]
packages = ["{module}"]
"""

PROGRAM = """
import json, sys
import anyio
from corten.app.internals import internals_of
from corten.app import App
from corten.app.lifecycle.exit_codes import leaves, of

options = json.loads(sys.argv[1])
app = App("host", config=None, **options)
out = {}

async def main():
    async with app:
        out["state"] = app.state
        found = internals_of(app).life.resources.open_now.items()
        out["found"] = [f"{kind.__name__} {type(value).__name__}" for (kind, _), value in found]

try:
    anyio.run(main)
except Exception as error:
    out["errors"] = [str(each) for each in leaves(error)]
    out["code"] = of(error)
out["plugins"] = [[each.name, each.distribution, each.version, each.order, each.state] for each in app.plugins]
out["ended"] = app.state
out["modules"] = sorted(name for name in sys.modules if name.startswith("acme"))
print(json.dumps(out))
"""


class ThirdParty:
    """A folder into which wheels are installed, and programs that find them there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"

    def install(self, name: str, source: str, *, version: str = "1.2.3", target: str = "Plugin") -> str:
        """Build a wheel with a plugin and install it; gives back the distribution's name."""
        distribution, module = f"acme-{name}", f"acme_{name}"
        project = self.folder / distribution
        (project / module).mkdir(parents=True)
        (project / module / "__init__.py").write_text(textwrap.dedent(source))
        words = {"distribution": distribution, "version": version, "name": name, "module": module, "target": target}
        (project / "pyproject.toml").write_text(PROJECT.format(**words))
        wheels = self.folder / "wheels"
        pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
        quiet = {"check": True, "capture_output": True, "text": True}
        subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, project], **quiet)  # type: ignore[call-overload]
        (wheel,) = wheels.glob(f"{module}-*.whl")
        subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", self.site, wheel], **quiet)  # type: ignore[call-overload]
        return distribution

    def start(self, **options: Any) -> dict[str, Any]:
        """Start an App in a process that has the wheels, and say how that went."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(options)],
            capture_output=True,
            text=True,
            timeout=50,
            env={**os.environ, "PYTHONPATH": str(self.site)},
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        result["plugins"] = [each for each in result["plugins"] if each[1].startswith("acme")]
        return result

    def command(self, *arguments: str) -> Any:
        """What the command prints as JSON, of an App in this folder that loads every installed plugin."""
        (self.folder / "service.py").write_text("from corten import App\napp = App('host', config=None)\n")
        done = subprocess.run(
            [sys.executable, "-c", "from corten.cli import main; main()", *arguments, "--json", "service:app"],
            capture_output=True,
            text=True,
            timeout=50,
            env={**os.environ, "PYTHONPATH": str(self.site)},
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def third_party(tmp_path: Path) -> ThirdParty:
    """A place for wheels."""
    pytest.importorskip("hatchling", reason="wheels are built with hatchling: pip install hatchling")
    return ThirdParty(tmp_path)
