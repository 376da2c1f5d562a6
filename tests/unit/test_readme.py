"""README.md: its function, service and settings run as printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def block(language: str, begins: str) -> str:
    """Return the code block of the README with this beginning."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return next(each for each in blocks if each.startswith(begins))


class Users:
    """A stand-in for a pool of a database with one user."""

    async def fetch_optional(self, kind: type, sql: str, number: int) -> Any:
        assert sql.startswith("select ")
        return kind(id=number, name="Ada") if number == 1 else None


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The README's service and settings in a folder, without installed plugins."""
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
        assert await service.app.pipelines["users"].call(service.load_user, 1) == service.User(1, "Ada")
    assert service.app.state == "stopped"
