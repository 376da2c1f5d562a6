"""Scripted functions."""

from __future__ import annotations

import anyio
import pytest

from corten.testing import After, FakeClock, Script

pytestmark = pytest.mark.anyio


async def test_each_call_is_the_next_step() -> None:
    script = Script[str](OSError("away"), ValueError, "there")
    with pytest.raises(OSError, match="away"):
        await script.function(1)
    with pytest.raises(ValueError):
        await script.function(2, deep=True)
    assert not script.done
    assert await script.function() == "there"
    assert script.done
    assert script.calls == [((1,), {}), ((2,), {"deep": True}), ((), {})]


async def test_a_step_may_take_its_time(clock: FakeClock) -> None:
    script = Script[int](After(5, TimeoutError("late")), After(2, 7), clock=clock)
    ended: list[object] = []

    async def run() -> None:
        try:
            ended.append(await script.function())
        except TimeoutError as error:
            ended.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(4)
        assert ended == []
        await clock.advance(1)
        assert ended == ["late"]
        group.start_soon(run)
        await clock.advance(2)
    assert ended == ["late", 7]


def test_plain_functions_follow_the_same_script(clock: FakeClock) -> None:
    script = Script[int](OSError("away"), After(3, 1), clock=clock)
    with pytest.raises(OSError, match="away"):
        script.function_sync()
    before = clock.now()
    assert script.function_sync() == 1
    assert clock.now() == before + 3


async def test_a_call_after_the_last_step_is_an_error() -> None:
    script = Script[int](1)
    await script.function()
    with pytest.raises(AssertionError, match="1 steps and was called once more"):
        await script.function()
