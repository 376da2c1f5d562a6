"""System checks judge shares by the thresholds of the settings."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psutil
import pytest

from corten.health import Finding
from corten_health import HealthSettings
from corten_health.system import CpuShare, Memory, cpu_check, disk_check, memory_check, read_memory

pytestmark = pytest.mark.anyio


def group(folder: Path, limit: str, current: int, inactive: int) -> Path:
    (folder / "memory.max").write_text(limit + "\n")
    (folder / "memory.current").write_text(f"{current}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {inactive}\n")
    return folder


@pytest.mark.parametrize(("used", "status"), [(89, "up"), (90, "degraded"), (96, "degraded"), (97, "down")])
async def test_memory_degrades_and_goes_down_at_its_thresholds(used: int, status: str) -> None:
    found = await memory_check(HealthSettings(), lambda: Memory(used, 100, limited=True)).run()
    assert found is not None
    assert found.status == status
    assert ("the container's limit" in found.message) is (status != "up")


def test_the_limit_of_the_container_counts_without_its_file_cache(tmp_path: Path) -> None:
    assert read_memory(group(tmp_path, "1000", 800, 300)) == Memory(500, 1000, limited=True)


@pytest.mark.parametrize("limit", ["max", str(2**62)])
def test_without_a_limit_the_machine_counts(tmp_path: Path, limit: str) -> None:
    memory = read_memory(group(tmp_path, limit, 800, 300))
    assert memory.total == psutil.virtual_memory().total
    assert not memory.limited


async def test_the_fullest_file_system_decides_and_is_named() -> None:
    shares = {"/": (10, 100), "/data": (99, 100), "/log": (91, 100)}
    settings = HealthSettings(disk_paths=tuple(shares))
    found = await disk_check(settings, shares.__getitem__).run()
    assert found == Finding("down", "/data is 99% full; /log is 91% full", {"/": 0.1, "/data": 0.99, "/log": 0.91})


async def test_a_busy_cpu_degrades_and_never_goes_down() -> None:
    readings = iter([(0.0, 0.0), (10.0, 10.0), (10.0, 20.0)])
    check = cpu_check(HealthSettings(), CpuShare(lambda: next(readings), least=1.0))
    found = [await check.run() for _ in range(2)]
    assert [each.status for each in found if each] == ["degraded", "up"]


async def test_a_moments_burst_of_the_cpu_is_not_counted_yet_and_not_forgotten() -> None:
    readings = iter([(0.0, 0.0), (0.5, 0.5), (2.0, 4.0)])
    cpu = CpuShare(lambda: next(readings), least=4.0)
    assert [cpu.take(), cpu.take()] == [0.0, 0.5]


async def test_the_real_machine_gives_shares_between_nothing_and_all() -> None:
    memory = read_memory()
    assert 0 < memory.used < memory.total
    assert 0 <= CpuShare().take() <= 1
    found = await disk_check(HealthSettings(disk_degraded=1, disk_down=1)).run()
    assert found is not None
    assert 0 < float(found.details["/"] or 0) <= 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"memory_down": 0.5}, "memory_degraded is 0.9; expected at most memory_down, which is 0.5"),
        ({"loop_degraded": 9.0}, "loop_degraded is 9.0; expected at most loop_down"),
        ({"blocked_after": -1.0}, "blocked_after is -1.0; expected 0"),
    ],
)
def test_thresholds_out_of_order_are_refused(values: dict[str, float], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(values, HealthSettings)
