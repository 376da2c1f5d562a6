"""Layers: imports go only down, and `import corten` stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "python" / "corten"

LAYERS = (
    ("cli", "testing", "asgi", "dev"),
    ("app", "plugins", "hookspecs"),
    ("messages",),
    ("pipeline",),
    ("alerts",),
    ("error_handler",),
    ("policies", "cache", "rate_limit", "dead_letters", "health", "metrics", "events", "logs"),
    ("settings", "secrets", "flags", "errors", "clock", "deadline", "event_loop", "spelling", "_lazy"),
    ("_core",),
)
"""From the edges down; alerts stand above the other capabilities, for they may import health and metrics."""

LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

UPWARDS: dict[str, dict[str, str]] = {}
"""Imports that may go up: for each file the module it imports, and the reason."""

MOST_MODULES = 13
"""The most modules that a folder holds side by side, `__init__` not counted."""

LARGE_ROOMS = {}
"""Folders that hold more, each with its reason."""

NOT_AT_IMPORT = (
    "asyncpg",
    "click",
    "confluent_kafka",
    "opentelemetry",
    "redis",
    "rich",
    "starlette",
    "trio",
    "uvicorn",
    "watchfiles",
)


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield all imports of a module with their lines, type-only ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            if node.module == "corten":
                yield from ((f"corten.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


FILES = sorted(ROOT.rglob("*.py"))


def test_every_room_has_its_layer() -> None:
    rooms = {room_of(file) for file in FILES} - {"__init__"}
    assert rooms <= set(LEVEL)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_only_down(file: Path) -> None:
    room = room_of(file)
    if room == "__init__":
        return  # it exports names of all rooms
    allowed = UPWARDS.get(str(file.relative_to(ROOT)), {})
    wrong = []
    for name, line in imports(ast.parse(file.read_text("utf-8"))):
        parts = name.split(".")
        if parts[0] != "corten" or len(parts) == 1:
            continue
        other = parts[1]
        if other != room and LEVEL.get(other, -1) < LEVEL[room] and name not in allowed:
            wrong.append(f"line {line} imports {name}, which is above")
    assert wrong == []


def test_an_import_is_seen_wherever_it_stands() -> None:
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import corten.a
else:
    import corten.b
class C:
    if not TYPE_CHECKING:
        def method(self):
            from corten.c import name
"""
    assert {name for name, _ in imports(ast.parse(source))} == {"typing", "corten.a", "corten.b", "corten.c"}


def test_imports_that_may_go_up_are_still_there() -> None:
    for file, modules in UPWARDS.items():
        assert set(modules) <= {name for name, _ in imports(ast.parse((ROOT / file).read_text("utf-8")))}, file


def test_no_room_has_more_modules_than_a_newcomer_can_look_over() -> None:
    rooms = Counter(str(file.parent.relative_to(ROOT)) for file in FILES if file.name != "__init__.py")
    assert {room for room, count in rooms.items() if count > MOST_MODULES} == set()


def test_importing_corten_loads_no_driver_and_no_edge() -> None:
    shown = f"[name for name in {NOT_AT_IMPORT!r} if name in sys.modules]"
    program = f"import sys, corten; corten.App, corten.Retry; print({shown})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "[]", done.stderr


def test_importing_corten_alone_loads_next_to_nothing() -> None:
    program = "import sys; before = set(sys.modules); import corten; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert "anyio" not in done.stdout
    assert "msgspec" not in done.stdout


@pytest.mark.parametrize("room", ["corten.cli", "corten.testing", "corten.asgi", "corten.dev"])
def test_importing_an_edge_loads_no_server_and_no_driver(room: str) -> None:
    program = f"import {room}, sys; print([name for name in {NOT_AT_IMPORT!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert "uvicorn" not in done.stdout
    assert "asyncpg" not in done.stdout
    assert done.returncode == 0, done.stderr
