"""What type checkers see of guarded functions. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, assert_type

from corten import Bulkhead, Cache, CircuitBreaker, Pipeline, RateLimit, Retry, Timeout
from corten.pipeline import BreakerControl
from corten.policies import Policy

users = Pipeline("users", Cache(ttl=60), Retry(max_attempts=3), CircuitBreaker(failures=5, wait=120), Timeout(2.0))
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
