"""docs/explanation/comparison.md: every tick of Corten names an existing test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "comparison.md"
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| |")]
OURS = re.compile(r"\[✓ ([^\]]+)\]\(([^)]+)\)")


def test_there_are_rows() -> None:
    assert len(ROWS) > 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_each_row_leads_to_its_test(row: str) -> None:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 6
    found = OURS.fullmatch(cells[1])
    assert found, f"{cells[0]}: no test proves it"
    name, path = found[1].replace(" ", "_"), PAGE.parent / found[2]
    assert re.search(rf"^(async )?def test_{re.escape(name)}\(", path.read_text(), re.MULTILINE), (
        f"{path.name} has no such test"
    )
