"""Rate limits on a real server: shared exactly by pools and processes, by its clock; gone and back."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import pytest
from tests.servers.redis import RedisServer

from corten import App, Pipeline, RateLimit
from corten.errors import RateLimited
from corten.events import CallDegraded, Degraded, Event, Recovered
from corten.rate_limit import FixedWindow, LeakyBucket, SharedLimit, SlidingWindow, TokenBucket
from corten.secrets import Secret
from corten.testing import FakeClock
from corten_redis import Redis, RedisLimiter, RedisPlugin, RedisSettings, RedisUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.services]

LIMITERS: dict[Any, Any] = {each.algorithm: each for each in (TokenBucket, LeakyBucket, SlidingWindow, FixedWindow)}
ALGORITHMS = list(LIMITERS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_it_lets_through_what_it_holds_and_says_when_more(redis: Redis, algorithm: Any) -> None:
    limiter = RedisLimiter(redis)
    limit = SharedLimit(algorithm, 5 / 3600, 5)
    verdicts = [await limiter.reserve("limit", limit, 1, 0.0) for _ in range(8)]
    granted = 1 if algorithm == "leaky_bucket" else 5
    assert [each.granted for each in verdicts] == [True] * granted + [False] * (8 - granted)
    assert all(each.seconds == 0 for each in verdicts if each.granted)
    assert all(0 < each.seconds <= 7200 for each in verdicts if not each.granted)
    assert (limiter.statistics().granted, limiter.statistics().refused) == (granted, 8 - granted)
    assert (await limiter.reserve("other", limit, 5, 0.0)).granted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_who_may_wait_is_told_times_in_order(redis: Redis, algorithm: Any) -> None:
    limiter = RedisLimiter(redis)
    limit = SharedLimit(algorithm, 10.0, 10)
    waits = [(await limiter.reserve("limit", limit, 2, 2.5)) for _ in range(25)]
    granted = [each.seconds for each in waits if each.granted]
    assert all(0 <= seconds <= 2.5 for seconds in granted)
    # Time passes between two requests: who comes later for the same moment waits a little less.
    assert all(later > earlier - 0.05 for earlier, later in itertools.pairwise(granted))
    if algorithm == "leaky_bucket":  # it holds five that cost two
        assert len(granted) == 5
        assert all(0.15 < later - earlier <= 0.2 for earlier, later in itertools.pairwise(granted[1:]))
    else:
        assert 10 <= len(granted) < 25
        assert all(each.seconds > 2.0 for each in waits if not each.granted)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_time_brings_tokens_back_and_state_goes_by_itself(redis: Redis, algorithm: Any) -> None:
    limiter = RedisLimiter(redis)
    limit = SharedLimit(algorithm, 20.0, 2)
    while (verdict := await limiter.reserve("limit", limit, 1, 0.0)).granted:
        pass
    await anyio.sleep(verdict.seconds + 0.002)
    assert (await limiter.reserve("limit", limit, 1, 0.0)).granted
    assert 0 < await redis.client.pttl(redis.prefix + "limit") <= 1_400


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_it_decides_as_the_core_does(redis: Redis, algorithm: Any) -> None:
    """Twenty a day and sequences that take milliseconds: the server's time is the core's, as far as that matters."""
    random = Random(7)
    remote = RedisLimiter(redis)
    day = 86_400.0
    for number in range(20):
        seconds, microseconds = await redis.client.time()
        clock = FakeClock(seconds + microseconds / 1e6)
        if clock.now() % day > day - 60:
            await anyio.sleep(61)  # a day ends in this minute, by UTC
            continue
        here = LIMITERS[algorithm]("20/d", clock=clock)
        for _ in range(40):
            n, max_wait = (
                random.choice([0, 1, 1, 2, 3, 7, 20]),
                random.choice([0.0, 0.0, 0.3 * day, 1.5 * day, 4 * day]),
            )
            granted, wait, _ = here.reserve(n, max_wait)
            verdict = await remote.reserve(
                f"{algorithm}:{number}", SharedLimit(algorithm, here.rate, here.burst), n, max_wait
            )
            assert (verdict.granted, verdict.seconds) == (granted, pytest.approx(wait, abs=30)), (n, max_wait)


async def test_what_is_in_keys_and_numbers_is_data_not_script(redis: Redis) -> None:
    limiter = RedisLimiter(redis)
    key = "x'); redis.call('FLUSHALL'); --"
    await redis.set("canary", b"alive")
    assert (await limiter.reserve(key, SharedLimit("token_bucket", 1.0, 1), 1, float("nan"))).granted
    assert await redis.get("canary") == b"alive"
    await redis.client.script_flush()  # a server that was restarted knows no scripts
    assert not (await limiter.reserve(key, SharedLimit("token_bucket", 1.0, 1), 1, 0.0)).granted


@asynccontextmanager
async def running(
    url: str, prefix: str, *policies: RateLimit, **settings: Any
) -> AsyncIterator[tuple[App[Any], Pipeline]]:
    arguments = {"redis.url": url, "redis.prefix": prefix, "redis.retry_interval": "50ms", **settings}
    app = App("savings", plugins=[RedisPlugin], autoload=False, config=None, arguments=arguments)
    guard = app.add(Pipeline("users", *policies))
    async with app:
        yield app, guard


async def admitted(call: Callable[[], Any], times: int) -> int:
    done = 0

    async def one() -> None:
        nonlocal done
        try:
            await call()
            done += 1
        except RateLimited:
            pass

    async with anyio.create_task_group() as group:
        for _ in range(times):
            group.start_soon(one)
    return done


@pytest.mark.parametrize("algorithm", ["token_bucket", "sliding_window", "fixed_window"])
async def test_two_apps_share_one_limit_exactly(redis_server: RedisServer, algorithm: Any) -> None:
    policy = RateLimit("50/d", key="user", algorithm=algorithm, shared=True)
    prefix = f"shared-{algorithm}:"
    async with (
        running(redis_server.url, prefix, policy) as (_, here),
        running(redis_server.url, prefix, policy) as (_, there),
    ):
        done: list[int] = []
        for guard in (here, there, here, there):

            @guard
            async def call(user: str) -> None: ...

            done.append(await admitted(lambda call=call: call("ann"), 30))  # type: ignore[misc]
        assert done == [30, 20, 0, 0]
        assert (here.statistics().refused, there.statistics().refused) == ({"rate_limit": 30}, {"rate_limit": 40})
        seen = here.rate_limits[0].statistics()
        assert (seen.admitted, seen.refused, seen.degraded) == (30, 30, 0)


PROGRAM = """
import anyio, anyio.to_thread, json, sys
from corten import App, Pipeline, RateLimit
from corten.errors import RateLimited
from corten_redis import RedisPlugin

app = App("savings", plugins=[RedisPlugin], autoload=False, config=None, arguments={"redis.url": sys.argv[1]})
guard = app.add(Pipeline("both", RateLimit("400/d", shared=True)))
done = 0

@guard
async def call():
    pass

async def one():
    global done
    try:
        await call()
        done += 1
    except RateLimited:
        pass

async def main():
    async with app:
        print("ready", flush=True)
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            async with anyio.create_task_group() as group:
                for _ in range(60):
                    group.start_soon(one)
            print(json.dumps(done), flush=True)

anyio.run(main)
"""


def test_two_processes_share_one_limit_exactly(redis_server: RedisServer) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, redis_server.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers: list[int] = []
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for _ in range(5):  # sixty each, at the same time: in the fourth round the limit is reached
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            answers = [json.loads(process.stdout.readline()) for process in processes if process.stdout is not None]
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.stdout.close()
    assert sum(answers) == 400
    assert min(answers) >= 180  # three whole rounds


@pytest.mark.faults
async def test_without_the_server_each_counts_by_itself_and_it_heals(own_redis_server: RedisServer) -> None:
    policy = RateLimit("3/d", shared=True)
    async with running(own_redis_server.url, "heal:", policy) as (app, guard):
        events: list[Event] = []
        app.events.subscribe(events.append)

        @guard
        async def call() -> None: ...

        assert await admitted(call, 2) == 2
        own_redis_server.kill()
        began = time.monotonic()
        assert await admitted(call, 50) == 3  # a limit of its own, full at first
        assert time.monotonic() - began < 5
        seen = guard.rate_limits[0].statistics()
        assert (seen.admitted, seen.degraded) == (5, 50)
        assert guard.statistics().degraded == {"rate_limit": 50}
        assert sum(isinstance(event, CallDegraded) for event in events) == 50
        assert [event.what for event in events if isinstance(event, Degraded)] == ["redis"]
        own_redis_server.start()
        with anyio.fail_after(10):
            while not app.get(Redis).statistics().up:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert [event.what for event in events if isinstance(event, Recovered)] == ["redis"]
        assert await admitted(call, 5) == 3  # it was restarted empty
        assert guard.rate_limits[0].statistics().degraded == 50


@pytest.mark.faults
async def test_a_hung_server_holds_nobody_past_the_time_limit(own_redis_server: RedisServer) -> None:
    settings = {"redis.timeout": "500ms", "redis.connect_timeout": "200ms"}
    async with running(own_redis_server.url, "hung:", RateLimit("9/d", shared=True), **settings) as (app, guard):

        @guard
        async def call() -> None: ...

        await call()
        own_redis_server.freeze()
        began = time.monotonic()
        await call()
        assert time.monotonic() - began < 1.5
        with anyio.fail_after(10):
            while app.get(Redis).statistics().up:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        began = time.monotonic()
        await call()
        assert time.monotonic() - began < 0.3
        own_redis_server.thaw()
        with anyio.fail_after(10):
            while not app.get(Redis).statistics().up:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        await call()
        seen = guard.rate_limits[0].statistics()
        assert (seen.admitted, seen.degraded) == (4, 2)


async def test_a_limit_that_is_asked_alone_says_that_the_server_is_away(own_redis_server: RedisServer) -> None:
    async with Redis.open(RedisSettings(url=Secret(own_redis_server.url))) as redis:
        limiter = RedisLimiter(redis)
        own_redis_server.kill()
        with pytest.raises(RedisUnavailable):
            await limiter.reserve("limit", SharedLimit("token_bucket", 1.0, 1), 1, 0.0)
        assert limiter.statistics().failed == 1
