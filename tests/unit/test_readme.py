"""README.md and docs/: the service is one that runs, and links lead somewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")})
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def block(language: str, begins: str) -> str:
    """The code block of the README that begins so."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return next(each for each in blocks if each.startswith(begins))


class Users:
    """Stands for a pool with one user."""

    async def fetch_optional(self, kind: type, sql: str, number: int) -> Any:
        assert sql.startswith("select ")
        return kind(id=number, name="Ada") if number == 1 else None


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The README's service in a folder of its own, with the README's settings, and without anybody's plugins."""
    pytest.importorskip("corten_postgres")
    (tmp_path / "readme_savings.py").write_text(block("python", "# savings.py"))
    (tmp_path / "corten.toml").write_text(block("toml", "# corten.toml"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CORTEN_PLUGINS__AUTOLOAD", "false")
    monkeypatch.delitem(sys.modules, "readme_savings", raising=False)
    yield import_module("readme_savings")
    monkeypatch.delitem(sys.modules, "readme_savings", raising=False)


@pytest.mark.anyio
async def test_the_function_of_the_readme_is_guarded() -> None:
    async def fetch(currency: str) -> float:
        return {"EUR": 1.1}[currency]

    names: dict[str, Any] = {"fetch": fetch}
    exec(compile(block("python", "from corten import Cache"), "README.md", "exec"), names)
    assert [await names["rate"]("EUR"), await names["rate"]("EUR")] == [1.1, 1.1]
    assert names["rates"].statistics().hits == 1


@pytest.mark.anyio
async def test_the_service_of_the_readme_runs_with_the_settings_of_the_readme(service: Any) -> None:
    from corten_postgres import Postgres

    service.app.override(Postgres, Users())
    async with service.app:
        assert (await service.load_user(1)).name == "Ada"
        assert await service.load_user(2) is None
        assert await service.load_user(1) == service.User(1, "Ada")
        assert await service.rates.call(service.load_user, 1) == service.User(1, "Ada")
    assert service.app.state == "stopped"


def anchors(page: Path) -> set[str]:
    """What its headings can be linked by."""
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(FENCE.sub("", page.read_text()))]
    return {heading.strip().replace(" ", "-") for heading in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            lost.append(link)
    assert not lost, f"{page.relative_to(ROOT)} links to what is not there: {', '.join(lost)}"


def test_every_page_of_the_docs_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop().resolve()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = LINK.findall(FENCE.sub("", page.read_text()))
        ahead += [page.parent / link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    hidden = [str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md") if page.resolve() not in seen]
    assert not hidden, f"no link leads to {', '.join(sorted(hidden))}"
