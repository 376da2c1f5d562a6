"""Cancelling at each await."""

from __future__ import annotations

import anyio
import pytest

from corten.testing import cancel_at_each_await

pytestmark = pytest.mark.anyio


async def test_each_await_is_reached() -> None:
    reached: list[int] = []

    async def operation() -> None:
        awaits = 0
        try:
            while awaits < 5:
                await anyio.lowlevel.checkpoint()
                awaits += 1
        finally:
            reached.append(awaits)

    assert await cancel_at_each_await(operation) >= 3
    assert len(set(reached)) >= 3  # trio runs due tasks in any order, so some awaits may be missed


async def test_a_leak_is_found() -> None:
    held: list[int] = []

    async def leaks() -> None:
        held.append(1)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        held.pop()

    def check() -> None:
        assert held == []

    with pytest.raises(AssertionError):
        await cancel_at_each_await(leaks, check)


async def test_an_operation_that_never_completes_is_reported() -> None:
    with pytest.raises(AssertionError, match="did not complete within 20 turns"):
        await cancel_at_each_await(anyio.sleep_forever, limit=20)
