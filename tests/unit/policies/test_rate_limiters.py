"""Limiters without a pipeline: asking, waiting, giving up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from corten.errors import RateLimited
from corten.rate_limit import (
    FixedWindow,
    KeyedFixedWindow,
    KeyedLeakyBucket,
    KeyedLimiter,
    KeyedSlidingWindow,
    KeyedTokenBucket,
    LeakyBucket,
    Limiter,
    SlidingWindow,
    TokenBucket,
)
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio

UNKEYED: list[Any] = [TokenBucket, LeakyBucket, SlidingWindow, FixedWindow]
KEYED: list[Any] = [KeyedTokenBucket, KeyedLeakyBucket, KeyedSlidingWindow, KeyedFixedWindow]


@pytest.mark.parametrize("make", UNKEYED)
async def test_it_is_waited_for_in_order(clock: FakeClock, make: Callable[..., Limiter]) -> None:
    limiter = make("3/s", clock=clock)
    times: list[tuple[float, float]] = []
    began = clock.now()

    async def ask() -> None:
        waited = await limiter.acquire(max_wait=5)
        times.append((round(clock.now() - began, 6), round(waited, 6)))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
        await clock.advance(3)
    assert len(times) == 3
    assert times == sorted(times)
    assert all(now == waited for now, waited in times)
    assert times[-1][0] == (0.666667 if make is LeakyBucket else 0.0)


@pytest.mark.parametrize("make", KEYED)
async def test_each_key_waits_for_itself(clock: FakeClock, make: Callable[..., KeyedLimiter]) -> None:
    limiter = make("1/s", clock=clock)
    assert await limiter.acquire("ann") == 0.0
    assert await limiter.acquire("bob") == 0.0
    with pytest.raises(RateLimited, match=rf"^rate_limit refused the call: {make.__name__} has no token in time"):  # type: ignore[attr-defined]
        await limiter.acquire("ann", max_wait=0.5)
    with pytest.raises(TypeError, match="unhashable") as caught:
        await limiter.acquire([])
    assert caught.value.__notes__ == [
        "rate_limit: the key is a list; it must be hashable: a number, text, or a tuple of those"
    ]
    if make is not KeyedLeakyBucket:  # which holds one and has no queue
        async with anyio.create_task_group() as group:
            group.start_soon(limiter.acquire, "ann")
            await clock.advance(2)
    assert limiter.statistics().live <= 2


@pytest.mark.parametrize("make", UNKEYED)
def test_a_thread_is_blocked_for_it(clock: FakeClock, make: Callable[..., Limiter]) -> None:
    limiter = make("2/s", clock=clock)
    began = clock.now()
    while limiter.try_acquire() == 0.0:
        pass
    waited = limiter.acquire_sync()
    assert waited > 0
    assert clock.now() == pytest.approx(began + waited)
    with pytest.raises(RateLimited) as caught:
        limiter.acquire_sync(2, max_wait=0.1)
    assert (caught.value.retry_after or 0) > 0.1
    with pytest.raises(ValueError, match="asked for 9 tokens of a limit that holds 2"):
        limiter.acquire_sync(9)


def test_a_thread_is_blocked_for_a_key(clock: FakeClock) -> None:
    limiter = KeyedTokenBucket("2/s", 1, clock=clock)
    assert (limiter.acquire_sync("ann"), limiter.acquire_sync("ann"), limiter.acquire_sync("bob")) == (0.0, 0.5, 0.0)


@pytest.mark.parametrize("make", [TokenBucket, LeakyBucket])
async def test_who_gives_up_last_leaves_no_trace_and_others_keep_their_times(
    clock: FakeClock, make: Callable[..., Limiter]
) -> None:
    limiter = make("1/s", 10, clock=clock)
    while limiter.estimate() == 0.0:
        limiter.try_acquire()
    scopes = [anyio.CancelScope() for _ in range(3)]
    done: list[float] = []
    before, began = limiter.tokens(), clock.now()

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            await limiter.acquire()
            done.append(round(clock.now() - began, 6))

    async with anyio.create_task_group() as group:
        for scope in scopes:
            group.start_soon(ask, scope)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()  # somebody stands behind: the third keeps its time, and nobody else gets it
        await anyio.wait_all_tasks_blocked()
        assert limiter.tokens() == pytest.approx(before - 3)
        scopes[2].cancel()
        await anyio.wait_all_tasks_blocked()
        assert limiter.tokens() == pytest.approx(before - 2)
        await clock.advance(3)
    assert done == [1.0]


async def test_cancelled_at_each_await_tokens_come_back(clock: FakeClock) -> None:
    bucket = TokenBucket("1/s", 1, clock)
    bucket.try_acquire()
    keyed = KeyedSlidingWindow("1/s", clock=clock)
    keyed.try_acquire("ann")

    for turns in range(6):
        async with anyio.create_task_group() as group:
            group.start_soon(bucket.acquire)
            group.start_soon(keyed.acquire, "ann")
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    assert bucket.tokens() == pytest.approx(0)
    assert 0 < keyed.estimate("ann") <= 2.0


@pytest.mark.parametrize("make", [SlidingWindow, FixedWindow, KeyedSlidingWindow, KeyedFixedWindow])
@pytest.mark.parametrize(
    ("rate", "message"),
    [("0.5/s", 'write "1/2s" instead of "0.5/s"'), (2.5, "not 2.5"), ("5000000000/h", "from 1 to 4294967295")],
)
def test_windows_count_whole_calls(make: Callable[..., object], rate: str | float, message: str) -> None:
    with pytest.raises(ValueError, match="a window counts whole calls") as caught:
        make(rate)
    assert message in str(caught.value)


@pytest.mark.parametrize("make", UNKEYED)
def test_impossible_waits_are_no_waits(clock: FakeClock, make: Callable[..., Limiter]) -> None:
    limiter = make("1/s", clock=clock)
    assert limiter.try_acquire() == 0.0
    for max_wait in (-1.0, float("nan")):
        with pytest.raises(RateLimited):
            limiter.acquire_sync(max_wait=max_wait)
