"""Middleware puts a function of the user's around calls."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest

from corten.errors import CircuitOpen
from corten.pipeline import Pipeline
from corten.policies import Bulkhead, Cache, CircuitBreaker, Middleware, MiddlewareDetails, Policy, Retry
from corten.testing import cancel_at_each_await

pytestmark = pytest.mark.anyio

Make = Callable[..., Pipeline]

SEEN: list[MiddlewareDetails] = []


async def noting(call_next: Callable[..., Any], details: MiddlewareDetails) -> Any:
    SEEN.append(details)
    return await call_next()


def plainly(call_next: Callable[..., Any], details: MiddlewareDetails) -> Any:
    SEEN.append(details)
    return call_next()


async def work(x: int, *, scale: int = 1) -> int:
    await anyio.lowlevel.checkpoint()
    return x * scale


def compute(x: int, *, scale: int = 1) -> int:
    return x * scale


@pytest.fixture(autouse=True)
def forget() -> None:
    SEEN.clear()


async def test_it_sees_the_call_and_returns_what_came(pipeline: Make) -> None:
    assert await pipeline(Middleware(noting), name="rates")(work)(3, scale=2) == 6
    assert [MiddlewareDetails("rates", "work", (3,), {"scale": 2})] == SEEN


def test_around_plain_functions_it_is_plain(pipeline: Make) -> None:
    assert pipeline(Middleware(plainly), name="rates")(compute)(3, scale=2) == 6
    assert [MiddlewareDetails("rates", "compute", (3,), {"scale": 2})] == SEEN


def test_settings_name_it() -> None:
    policy: Any = msgspec.convert({"policy": "middleware", "function": f"{__name__}:noting"}, Policy)
    assert policy.resolve() is noting


async def test_it_may_repeat_replace_and_change_a_call(pipeline: Make) -> None:
    async def twice(call_next: Callable[..., Any], details: MiddlewareDetails) -> Any:
        first = await call_next()
        return first, await call_next(msgspec.structs.replace(details, args=(10,)))

    async def never(call_next: Callable[..., Any], details: MiddlewareDetails) -> Any:
        return "instead"

    calls = []

    async def count(x: int) -> int:
        calls.append(x)
        return x

    assert await pipeline(Middleware(twice))(count)(1) == (1, 10)  # type: ignore[comparison-overlap]
    assert await pipeline(Middleware(never))(count)(1) == "instead"  # type: ignore[comparison-overlap]
    assert calls == [1, 10]


async def test_what_it_raises_is_what_the_call_raises(pipeline: Make) -> None:
    async def broken(call_next: Callable[..., Any], details: MiddlewareDetails) -> Any:
        raise LookupError("middleware")

    guard = pipeline(
        Retry(max_attempts=2, initial_backoff=0, on=(LookupError,)), CircuitBreaker(failures=2), Middleware(broken)
    )
    with pytest.raises(LookupError, match="middleware"):
        await guard(work)(1)
    with pytest.raises(CircuitOpen):
        await guard(work)(1)


async def test_it_stands_where_it_is_written(pipeline: Make) -> None:
    guarded = pipeline(Middleware(noting), Cache(), Middleware(noting), Bulkhead(1), Middleware(noting))(work)
    assert await guarded(1) == await guarded(1) == 1
    assert len(SEEN) == 4, "the second call got no further than the cache"


async def test_only_users_frames_show_in_tracebacks(pipeline: Make) -> None:
    async def fails(x: int) -> None:
        raise ValueError(x)

    try:
        await pipeline(Middleware(noting))(fails)(1)
    except ValueError as error:
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names == ["test_only_users_frames_show_in_tracebacks", "noting", "fails"]


@pytest.mark.parametrize(
    ("middleware", "function", "message"),
    [
        (plainly, work, r"middleware: plainly is a sync function, and work is async: write it with `async def`"),
        (
            noting,
            compute,
            r"middleware: noting is async, and compute is a sync function: write the middl",
        ),
    ],
)
def test_one_that_does_not_fit_is_refused_at_decoration(
    pipeline: Make, middleware: Any, function: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pipeline(Middleware(middleware))(function)


def test_a_generator_is_refused_at_decoration(pipeline: Make) -> None:
    def rows(call_next: Callable[..., Any], details: MiddlewareDetails) -> Any:
        yield call_next()

    with pytest.raises(ValueError, match="is a generator function"):
        pipeline(Middleware(rows))(work)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("nowhere", "middleware: function is 'nowhere', which can't be found"),
        ("no.such:function", "middleware: function is 'no.such:function', which can't be found"),
        (3, "middleware: function is 3, which can't be called"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_made(wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Middleware(wrong)


async def test_cancelling_inside_of_it_leaks_nothing(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(1), Middleware(noting))
    guarded = guard(work)

    async def call() -> None:
        await guarded(1)

    def check() -> None:
        assert guard.statistics().bulkheads[0].running == 0

    assert await cancel_at_each_await(call, check) > 0
