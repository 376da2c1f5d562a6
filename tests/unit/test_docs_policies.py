"""Pages of policies: all fields, equal sections, blocks that run."""

from __future__ import annotations

import ast
import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from corten.pipeline import Pipeline
from corten.pipeline.layers import LAYERS
from corten.pipeline.stages import STAGES
from corten.policies import Retry

DOCS = Path(__file__).parents[2] / "docs"
_TYPES: list[Any] = [*LAYERS, *STAGES]
POLICIES = {str(each.__struct_config__.tag): each for each in _TYPES}
PAGES = sorted(DOCS.rglob("*.md"))


def rows(page: str) -> dict[str, str]:
    """Return the table rows of fields, by field."""
    found: dict[str, str] = {}
    for line in page.splitlines():
        if row := re.fullmatch(r"\| (`\w+`(?:, `\w+`)*) \|.*\|", line):
            for field in re.findall(r"\w+", row[1]):
                found.setdefault(field, line)
    return found


def test_every_policy_has_a_page() -> None:
    assert {path.stem for path in (DOCS / "policies").glob("*.md")} == set(POLICIES)


@pytest.mark.parametrize("word", sorted(POLICIES))
def test_a_page_has_every_field_with_its_default(word: str) -> None:
    found = rows((DOCS / "policies" / f"{word}.md").read_text(encoding="utf-8"))
    fields = msgspec.structs.fields(POLICIES[word])
    assert [each.name for each in fields if each.name not in found] == []
    for field in fields:
        default: Any = field.default
        if isinstance(default, str | int | float) and not isinstance(default, bool):
            shown = found[field.name].rpartition(" | ")[2].replace(",", "")
            expected = default if isinstance(default, str) else f"{default:g}" if default < 1e5 else str(default)
            assert str(expected) in shown, f"{field.name} is {default!r} by default"


@pytest.mark.parametrize("word", sorted(POLICIES))
def test_a_page_has_what_every_page_has(word: str) -> None:
    page = (DOCS / "policies" / f"{word}.md").read_text(encoding="utf-8")
    for section in ("```python\n", "```mermaid\n", "\n## Bad input\n", "\n## What others call it\n", "tatistics"):
        assert section in page, f"docs/policies/{word}.md has no {section!r}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_blocks_of_python_compile(path: Path) -> None:
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)):
        compile(block, f"{path.name}, block {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("word", sorted(POLICIES))
def test_blocks_of_python_run_as_they_are_printed(word: str) -> None:
    page = (DOCS / "policies" / f"{word}.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {  # names that a reader has
        "__name__": "page",
        "User": object,
        "Order": object,
        "Receipt": object,
        "user": object(),
        "guest": object(),
        "address": "10.0.0.7",
        "payments": Pipeline("payments", Retry()),
        "request": SimpleNamespace(headers={"X-Request-Timeout": "2"}),
    }

    async def run() -> None:
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", page, re.DOTALL)):
            code = compile(block, f"{word}.md, block {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result: Any = eval(code, names)
            if result is not None:
                await result

    asyncio.run(run())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_no_node_of_a_diagram_bears_a_word_that_mermaid_keeps(path: Path) -> None:
    """For mermaid ``call -. raises .-> log`` begins a callback."""
    for block in re.findall(r"```mermaid\nflowchart(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        assert not re.search(r"^\s*(call|click|href|style|class|end) +[-=.]", block, re.MULTILINE)
