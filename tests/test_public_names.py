"""Public names: exported in order, and documented."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import corten.errors
from corten import App, Pipeline
from corten.hookspecs import Hooks

ROOT = Path(__file__).parents[1]
ROOMS = sorted(file for file in (ROOT / "python" / "corten").rglob("__init__.py"))
DOCS = ROOT / "docs"

HOOKS = sorted(name for name in vars(Hooks) if name.startswith("corten_"))
ERRORS = sorted(
    name
    for name, value in vars(corten.errors).items()
    if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == "corten.errors"
)


def by_kind_then_name(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as ruff sorts `__all__`."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT / "python").parent.parts)


@pytest.mark.parametrize("file", ROOMS, ids=module_name)
def test_an_init_module_only_exports(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    assert ast.get_docstring(tree), "the first line states the room's purpose"
    for node in tree.body[1:]:
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        # A module may load exported names at their first use; type checkers see them at once.
        is_lazy = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "(__getattr__, __dir__)"
        is_for_types = isinstance(node, ast.If) and all(isinstance(each, ast.ImportFrom) for each in node.body)
        assert isinstance(node, ast.ImportFrom) or is_all or is_lazy or is_for_types, f"line {node.lineno}"


@pytest.mark.parametrize("file", ROOMS, ids=module_name)
def test_all_is_sorted_and_complete(file: Path) -> None:
    module = importlib.import_module(module_name(file))
    names = list(getattr(module, "__all__", []))
    assert names == sorted(names, key=by_kind_then_name)
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(module, name) is not None
    tree = ast.parse(file.read_text("utf-8"))
    statements = [inner for node in tree.body for inner in (node.body if isinstance(node, ast.If) else [node])]
    exported = {
        alias.asname or alias.name for node in statements if isinstance(node, ast.ImportFrom) for alias in node.names
    } - {"annotations", "TYPE_CHECKING", "lazy_names"}
    assert {name for name in exported if not name.startswith("_")} <= set(names)


@pytest.mark.parametrize("file", ROOMS, ids=module_name)
def test_public_names_have_docstrings(file: Path) -> None:
    module = importlib.import_module(module_name(file))
    for name in getattr(module, "__all__", []):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{module.__name__}.{name}"


SHOWN: dict[str, tuple[object, str]] = {
    "App": (
        App("shown", config=None),
        """add alerts call_hook check clock configure consumer dead_letters environment errors events every failure
        flags get health load name observers on_error override pipeline pipelines plugins registry reload
        reload_statistics run section settings state stop task tasks""",
    ),
    "Pipeline": (
        Pipeline("shown"),
        """adaptive_limits allow_chaos breakers bulkheads cache cache_sync call call_sync chaos_allowed configure guard
        name policies rate_limits statistics""",
    ),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_an_object_shows_its_users_exactly_these_names(kind: str) -> None:
    shown, names = SHOWN[kind]
    assert [name for name in dir(shown) if not name.startswith("_")] == names.split()
    page = (DOCS / "reference" / "app.md").read_text("utf-8")
    section = page.partition(f"## {kind}\n")[2].partition("\n## ")[0]
    assert set(names.split()) == {word for word in section.split("`")[1::2] if word.isidentifier()}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_and_its_manual_says_when(hook: str) -> None:
    assert f"`{hook}`" in (DOCS / "reference" / "hooks.md").read_text("utf-8")
    assert "Called" in (inspect.getdoc(getattr(Hooks, hook)) or "")


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_documented(error: str) -> None:
    assert f"`{error}`" in (DOCS / "reference" / "errors.md").read_text("utf-8")


def test_every_documented_hook_exists() -> None:
    words = (DOCS / "reference" / "hooks.md").read_text("utf-8").split("`")
    named = {word for word in words if word.startswith("corten_") and word.isidentifier()}
    assert named == set(HOOKS)


def test_every_exit_code_is_documented() -> None:
    from corten.app.lifecycle import exit_codes

    text = (DOCS / "reference" / "exit_codes.md").read_text("utf-8")
    for name, code in vars(exit_codes).items():
        if name.isupper() and isinstance(code, int) and name != "SIGNAL":
            assert f"| {code} |" in text, name
