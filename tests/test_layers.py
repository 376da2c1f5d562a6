"""The house as DESIGN draws it: imports go only down, and `import corten` stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
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
    ("settings", "secrets", "flags", "errors", "clock", "deadline", "event_loop", "_lazy"),
    ("_core",),
)
"""From the edges down; alerts stand above the other capabilities, for they may import health and metrics."""

LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

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
    """What a module imports when it is run, wherever that stands; not what is for type checkers only."""
    hidden: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for inner in node.body:
                hidden.update(ast.walk(inner))
    for node in ast.walk(tree):
        if node in hidden:
            continue
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
        return  # the library's own face
    wrong = []
    for name, line in imports(ast.parse(file.read_text("utf-8"))):
        parts = name.split(".")
        if parts[0] != "corten" or len(parts) == 1:
            continue
        other = parts[1]
        if other != room and LEVEL.get(other, -1) < LEVEL[room]:
            wrong.append(f"line {line} imports {name}, which is above")
    assert wrong == []


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
