"""Types of guarded functions; checked by mypy and pyright, not run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, assert_type

from corten import (
    Bulkhead,
    Cache,
    Chaos,
    CircuitBreaker,
    Fallback,
    Hedge,
    Middleware,
    Pipeline,
    RateLimit,
    Retry,
    RetryBudget,
    Timeout,
    not_idempotent,
)
from corten.pipeline import BreakerControl
from corten.policies import CallNext, MiddlewareDetails, Policy

users = Pipeline("users", Cache(ttl=60), Retry(max_attempts=3), CircuitBreaker(failures=5, open_for=120), Timeout(2.0))
policies: list[Policy] = [RateLimit("0.5/s", burst=5), Bulkhead(10), Retry(on=(KeyError, "asyncpg.PostgresError"))]
users.configure(policies)


@users
async def load(user: int, *, deep: bool = False) -> str:
    return f"{user} {deep}"


class Store:
    @users
    async def load(self, user: int) -> bytes:
        return bytes(user)


@users
def compute(x: float) -> int:
    return round(x)


@users
def start(x: int) -> Awaitable[str]:
    return load(x)


@users
async def rows(count: int) -> AsyncIterator[int]:
    for each in range(count):
        yield each


@users
async def talk(first: str) -> AsyncGenerator[str, int]:
    number = yield first
    yield str(number)


class Methods:
    @users
    @staticmethod
    async def static(user: int) -> str:
        return str(user)

    @users
    @classmethod
    async def of_class(cls, user: int) -> str:
        return f"{cls} {user}"

    @staticmethod
    @users
    async def inside(user: int) -> str:
        return str(user)


async def audited(call_next: CallNext, details: MiddlewareDetails) -> Any:
    assert_type(details.function, str)
    return await call_next()


mixed: list[Policy] = [
    Middleware(audited),
    Middleware("package.module:function"),
    Chaos(0.05, OSError),
    Chaos(0.1, "OSError"),
]


async def methods() -> None:
    assert_type([each async for each in rows(3)], list[int])
    assert_type(await talk("hello").asend(1), str)
    async with users.guard(tenant="a") as nothing:
        assert_type(nothing, None)
    with users.guard():
        pass
    assert_type(users.call_sync(compute, 1.5), int)
    assert_type(users.call_sync(lambda: "text"), str)
    assert_type(await Methods.static(1), str)
    assert_type(await Methods().of_class(1), str)
    assert_type(await Methods().inside(1), str)

    rows("3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await talk("hello").asend("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    users.call_sync(compute, "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await Methods.static("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    users.guard("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def main() -> None:
    coroutine = assert_type(load(1, deep=True), Coroutine[Any, Any, str])
    assert_type(await coroutine, str)
    assert_type(await load(1), str)
    assert_type(await Store().load(2), bytes)
    assert_type(compute(1.5), int)
    assert_type(await start(1), str)
    assert_type(await users.call(load, 1, deep=False), str)
    assert_type(users.breakers, tuple[BreakerControl, ...])
    assert_type(users.breakers[0].statistics().last_failure, str)
    guarded: Callable[[int], Awaitable[str]] = start
    assert_type(await guarded(1), str)

    await load("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await load(1, shallow=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await users.call(load, 1, deep=2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Timeout()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@users
@not_idempotent
async def pay(user: int) -> bool:
    return user > 0


async def instead() -> None:
    payments = Pipeline("payments", Fallback(0), Hedge(0.2), Retry(backoffs=(1, 2), budget=RetryBudget(ratio=0.1)))
    assert_type(await payments.call(load, 1), str)
    assert_type(await pay(1), bool)
    Retry(on_result=lambda result: result is None, predicate="shop:busy", jitter="decorrelated")
    Fallback(call=lambda error, user: user, on=(KeyError,))
    Retry(jitter="full")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Hedge(quantile="0.9")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def caches() -> None:
    cache = users.cache(load)
    assert_type(await cache.get(1, deep=True), str | None)
    assert_type(await cache.invalidate(1), bool)
    await cache.set("a", 1)
    await cache.set(b"a", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await cache.invalidate("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(users.cache_sync(compute).get(1.5), int | None)
    assert_type(await users.cache(Store.load).get(Store(), 1), bytes | None)


one_type: list[Policy] = [Retry(on=OSError), CircuitBreaker(on=OSError, ignore=KeyError), Fallback(None, on="OSError")]
several: list[Policy] = [Retry(on=(OSError, "asyncpg.PostgresError")), CircuitBreaker(ignore=(KeyError,))]
