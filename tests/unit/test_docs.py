"""Pages of Markdown: links, index, and length of lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "deploy", "examples", "plugins", "python", "rust", "tests", "benches")
PAGES = sorted({*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))})
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

each_page_of_the_docs = pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)


def prose(page: Path) -> str:
    """Return the text of a page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page."""
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page))]
    return {heading.strip().replace(" ", "-") for heading in words}


def targets(page: Path) -> list[tuple[Path, str]]:
    """Return file and anchor of every relative link of a page."""
    found = []
    for link in LINK.findall(prose(page)):
        if not re.match(r"[a-z]+:", link):
            path, _, anchor = link.partition("#")
            found.append((page.parent / path if path else page, anchor))
    return found


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    lost = [
        f"{target}#{anchor}"
        for target, anchor in targets(page)
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target))
    ]
    assert not lost, f"missing files or headings: {', '.join(lost)}"


@each_page_of_the_docs
def test_no_line_of_prose_is_longer_than_120_characters(page: Path) -> None:
    lines = [line for line in prose(page).splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(line) > 120] == []


def test_the_index_names_every_page_of_the_docs() -> None:
    index = ROOT / "docs" / "README.md"
    named = {target.resolve() for target, _ in targets(index)} | {index}
    hidden = sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md") if page not in named)
    assert not hidden, f"docs/README.md has no link to {', '.join(hidden)}"


def test_the_readme_leads_to_the_index() -> None:
    assert ROOT / "docs" / "README.md" in {target.resolve() for target, _ in targets(ROOT / "README.md")}


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"\b(?:rust|python|plugins|tests|benches|docs)/[\w/.]+\b/?", text)
    assert len(named) > 40
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_walk_of_the_architecture_names_each_file_once() -> None:
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    walks = [re.findall(r"<b>(\w+/[\w/.]+)</b>", walk) for walk in re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)]
    assert min(len(walk) for walk in walks if walk) > 5
    assert [path for walk in walks for path in set(walk) if walk.count(path) > 1] == []
