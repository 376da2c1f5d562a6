"""The public line: code outside the library imports only listed names."""

from __future__ import annotations

import ast
import functools
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PUBLIC = frozenset(
    {
        "corten",
        "corten.alerts",
        "corten.app",
        "corten.asgi",
        "corten.cache",
        "corten.clock",
        "corten.dead_letters",
        "corten.deadline",
        "corten.dev",
        "corten.error_handler",
        "corten.errors",
        "corten.event_loop",
        "corten.events",
        "corten.flags",
        "corten.health",
        "corten.hookspecs",
        "corten.logs",
        "corten.messages",
        "corten.metrics",
        "corten.pipeline",
        "corten.plugins",
        "corten.policies",
        "corten.rate_limit",
        "corten.secrets",
        "corten.settings",
        "corten.testing",
    }
)
"""Modules that users import from, each with the public names in its `__all__`."""

PYTHON_CODE = sorted(
    file
    for pattern in ("plugins/*/src/**/*.py", "examples/**/*.py", "tests/typing/*.py")
    for file in ROOT.glob(pattern)
    if ".venv" not in file.parts
)
PAGES = sorted(
    {ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")}
)
CODE_BLOCK = re.compile(r"^([ ]*)```(?:python|py)\b[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@functools.cache
def public_names(module: str) -> frozenset[str]:
    return frozenset(importlib.import_module(module).__all__)


def is_ours(module: str) -> bool:
    return module == "corten" or module.startswith("corten.")


def crossings(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and import of each name that is not public."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if is_ours(alias.name) and alias.name not in PUBLIC:
                    yield node.lineno, f"import {alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.module and is_ours(node.module):
            for alias in node.names:
                if f"{node.module}.{alias.name}" in PUBLIC:
                    continue  # from corten import events
                if node.module not in PUBLIC or alias.name not in public_names(node.module):
                    yield node.lineno, f"from {node.module} import {alias.name}"


def code_blocks(page: str) -> Iterator[tuple[int, str]]:
    """Yield the Python blocks of a page with the line before each."""
    for block in CODE_BLOCK.finditer(page):
        indent, text = block.groups()
        code = "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
        yield page.count("\n", 0, block.start()) + 1, code


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_a_public_module_lists_its_names(module: str) -> None:
    for name in public_names(module):
        assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("file", PYTHON_CODE, ids=relative)
def test_code_outside_the_library_imports_public_names(file: Path) -> None:
    assert list(crossings(file.read_text("utf-8"))) == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_code_on_a_page_imports_public_names(page: Path) -> None:
    found = [
        (first + line, words) for first, code in code_blocks(page.read_text("utf-8")) for line, words in crossings(code)
    ]
    assert found == []


def test_internal_imports_are_found() -> None:
    source = (
        "from corten.app.app import App\nfrom corten.errors import CortenError, Nothing\nimport corten.pipeline.stages"
    )
    assert [words for _, words in crossings(source)] == [
        "from corten.app.app import App",
        "from corten.errors import Nothing",
        "import corten.pipeline.stages",
    ]
