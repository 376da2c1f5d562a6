"""Dev services start only where they are wanted, and only in development."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from corten.dev import dev_services
from corten.errors import CortenError, ResourceUnavailable
from corten.plugins import DevService

pytestmark = pytest.mark.anyio


folders: list[Path] = []


def service(section: str, calls: list[str], missing: str | None = None) -> DevService:
    @asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[Mapping[str, object]]:
        folders.append(folder)
        calls.append(f"start {section}")
        yield {"dsn": f"{section}://here"}
        calls.append(f"stop {section}")

    return DevService(section.title(), section, start, missing=lambda: missing)


async def test_those_without_an_address_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    calls: list[str] = []
    services = [service(name, calls) for name in ("postgres", "redis", "kafka")]
    async with dev_services(
        services, environment="development", is_active=lambda name: name == "redis", folder=tmp_path / "dev"
    ) as started:
        assert [each.section for each in started] == ["postgres", "kafka"]
        argument = started[0].arguments["postgres.dsn"]
        assert (argument.value, argument.source) == ("postgres://here", "Postgres, started by corten dev")
    assert calls == ["start postgres", "start kafka", "stop kafka", "stop postgres"]
    assert folders[-2:] == [tmp_path / "dev" / "postgres", tmp_path / "dev" / "kafka"]
    assert all(map(Path.is_dir, folders[-2:]))
    assert (tmp_path / "dev" / ".gitignore").read_text().endswith("*\n")


async def test_production_refuses_them_in_a_sentence(tmp_path: Path) -> None:
    calls: list[str] = []
    with pytest.raises(CortenError, match="dev services are for development and this is production"):
        async with dev_services([service("postgres", calls)], environment="production", folder=tmp_path):
            raise AssertionError("never entered")
    assert calls == []


async def test_all_that_is_not_installed_is_named_with_its_pip_line(tmp_path: Path) -> None:
    calls: list[str] = []
    services = [
        service("postgres", calls, "pip install a"),
        service("redis", calls),
        service("kafka", calls, "pip install b"),
    ]
    with pytest.raises(ResourceUnavailable) as raised:
        async with dev_services(services, environment="development", folder=tmp_path):
            raise AssertionError("never entered")
    assert "Postgres: pip install a" in str(raised.value)
    assert "Kafka: pip install b" in str(raised.value)
    assert calls == []
