"""Random lifecycles: plugins require each other, and fail or hang anywhere."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.app import App
from corten.app.internals import internals_of
from corten.app.lifecycle.exit_codes import leaves
from corten.errors import CortenError
from corten.testing import FakeClock

from .recorder import Recorder

MOMENTS = (
    "corten_resources",
    "corten_health_checks",
    "corten_tasks",
    "open",
    "ready",
    "task",
    "stop",
    "task ends",
    "close",
)
HANGS = ("stop", "task ends", "close")

resources = [type(f"Resource{number}", (), {}) for number in range(4)]


@st.composite
def recorders(draw: st.DrawFn) -> list[dict[str, Any]]:
    count = draw(st.integers(1, 4))
    plans = []
    for number in range(count):
        needs = draw(st.sets(st.integers(0, number - 1))) if number else set()
        plans.append(
            {
                "name": f"plugin{draw(st.integers(0, 9))}{number}",
                "provides": resources[number],
                "needs": tuple(resources[each] for each in sorted(needs)),
                "fails": draw(st.lists(st.sampled_from(MOMENTS), max_size=1)),
                "hangs": draw(st.lists(st.sampled_from(HANGS), max_size=1)),
                "phase": draw(st.sampled_from(["intake", "work", "flush"])),
            }
        )
    return draw(st.permutations(plans))


async def live(plans: list[dict[str, Any]]) -> None:
    clock = FakeClock()
    log: list[str] = []
    plugins = [Recorder(**plan, log=log) for plan in plans]
    app = App("random", plugins=plugins, autoload=False, config=None, clock=clock)
    raised: list[BaseException] = []
    began = clock.now()
    ended: list[float] = []

    async def enter_and_leave() -> None:
        try:
            async with app:
                for plan in plans:
                    assert isinstance(app.get(plan["provides"]), plan["provides"])
        except Exception as error:  # looked at below
            raised.append(error)
        ended.append(clock.now() - began)

    async with anyio.create_task_group() as group:
        group.start_soon(enter_and_leave)
        while not ended and clock.now() < began + 60:
            await clock.advance(1)

    assert ended, "it never ended"
    assert ended[0] <= 26, "it took longer than the deadline"
    assert app.state in ("stopped", "failed")
    assert [plugin.held for plugin in plugins] == [0] * len(plugins), "a resource was left open"
    assert internals_of(app).life.resources.open_now == {}
    opened = [entry.split()[0] for entry in log if entry.endswith(" open")]
    for plan in plans:
        for need in plan["needs"]:
            provider = next(each["name"] for each in plans if each["provides"] is need)
            if plan["name"] in opened:
                assert opened.index(provider) < opened.index(plan["name"])
    faults = [plan for plan in plans if plan["fails"] or plan["hangs"]]
    if not faults:
        assert raised == []
    for error in raised:
        for leaf in leaves(error):
            words = str(leaf)
            assert any(plan["name"] in words for plan in faults), f"nobody is named: {words}"
            assert isinstance(leaf, CortenError | ValueError)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(plans=recorders())
@settings(max_examples=30, deadline=None)
def test_every_life_ends_in_time_with_nothing_left_open_and_every_fault_named(
    backend: str, plans: list[dict[str, Any]]
) -> None:
    anyio.run(live, plans, backend=backend)
