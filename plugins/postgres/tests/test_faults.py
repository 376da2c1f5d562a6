"""The server killed, hung, cut off, or out of connections: what callers see, and that the pool heals by itself."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port
from tests.servers.proxy import proxy

from corten.dead_letters import DeadLetter
from corten.errors import DeadlineExceeded, ResourceUnavailable
from corten.pipeline import Pipeline
from corten.policies import Timeout
from corten.secrets import Secret
from corten.testing import FakeClock
from corten_postgres import (
    ConnectionLost,
    PoolExhausted,
    Postgres,
    PostgresDeadLetters,
    PostgresSettings,
    QueryTimeout,
)

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

SLEEP = "select 1 from pg_sleep(60)"


@asynccontextmanager
async def opened(dsn: str, *, clock: Any = None, **settings: Any) -> AsyncIterator[Postgres]:
    async with Postgres.open(PostgresSettings(dsn=Secret(dsn), **{"max_size": 3, **settings}), clock=clock) as postgres:
        yield postgres


async def until(true: Callable[[], bool | Awaitable[bool]], limit: float = 10.0) -> None:
    """Poll: what is waited for happens in another process."""
    with anyio.fail_after(limit):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await anyio.sleep(0.01)


async def heals(postgres: Postgres, limit: float = 10.0) -> None:
    async def answers() -> bool:
        try:
            return await postgres.fetch_value(int, "select 1") == 1
        except ResourceUnavailable:
            return False

    await until(answers, limit)


async def lend_all(postgres: Postgres, count: int) -> None:
    """Have the pool open so many connections."""
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(postgres.fetch_one, tuple, "select pg_sleep(0.05)")
    assert postgres.statistics().size == count


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT, signal.SIGKILL])
async def test_a_restarted_server_costs_at_most_one_error_for_each_connection(
    own_postgres_server: PostgresServer, how: signal.Signals
) -> None:
    async with opened(own_postgres_server.dsn()) as postgres:
        await lend_all(postgres, 3)
        if how is signal.SIGKILL:
            own_postgres_server.kill()
        else:
            own_postgres_server.stop(how)
        own_postgres_server.start()
        errors = 0
        for _ in range(20):
            try:
                assert await postgres.fetch_value(int, "select 1") == 1
            except ConnectionLost:
                errors += 1
        assert errors <= 3
        assert postgres.statistics().in_use == 0


async def test_while_the_server_is_away_calls_fail_at_once_and_say_where_and_why(
    own_postgres_server: PostgresServer,
) -> None:
    async with opened(own_postgres_server.dsn()) as postgres:
        own_postgres_server.kill()
        await until(lambda: _fails(postgres))
        began = time.monotonic()
        with pytest.raises(ConnectionLost, match="nobody listens there: start PostgreSQL") as caught:
            await postgres.fetch_value(int, "select 1")
        assert time.monotonic() - began < 1.0
        assert caught.value.retryable
        assert not caught.value.outcome_unknown
        own_postgres_server.start()
        await heals(postgres)


async def _fails(postgres: Postgres) -> bool:
    try:
        await postgres.fetch_value(int, "select 1")
    except ConnectionLost:
        return True
    return False


async def test_a_terminated_backend_is_retryable_and_its_connection_dropped(
    postgres_server: PostgresServer, database: str
) -> None:
    async with opened(database) as postgres:
        task = asyncio.ensure_future(postgres.execute(SLEEP))
        await _terminate(postgres_server, database)
        with pytest.raises(ConnectionLost) as caught:
            await task
        assert caught.value.retryable
        assert caught.value.outcome_unknown
        assert postgres.statistics().lost == 1
        assert await postgres.fetch_value(int, "select 1") == 1


async def _terminate(server: PostgresServer, database: str) -> None:
    name = database.rpartition("/")[2]
    query = (
        f"select count(pg_terminate_backend(pid)) from pg_stat_activity "
        f"where datname = '{name}' and query = '{SLEEP}' and state = 'active'"
    )
    await anyio.to_thread.run_sync(server.wait_for_sql, query, "1")


async def test_a_terminated_transaction_is_retryable_too(postgres_server: PostgresServer, database: str) -> None:
    async def transfer() -> None:
        async with postgres.transaction() as transaction:
            await transaction.execute(SLEEP)

    async with opened(database) as postgres:
        task = asyncio.ensure_future(transfer())
        await _terminate(postgres_server, database)
        with pytest.raises(ConnectionLost):
            await task
        assert await postgres.fetch_value(int, "select 1") == 1
        assert postgres.statistics().in_use == 0


async def test_a_connection_reset_in_a_statement_is_an_error_at_once_and_nothing_is_repeated(
    postgres_server: PostgresServer, database: str
) -> None:
    async with (
        proxy(postgres_server.host, postgres_server.port) as link,
        opened(database.replace(f":{postgres_server.port}", f":{link.port}")) as postgres,
    ):
        await postgres.execute("create table written (x int)")
        statement = "with slept as (select pg_sleep(60)) insert into written select 1 from slept"
        task = asyncio.ensure_future(postgres.execute(statement))
        name = database.rpartition("/")[2]
        active = f"select count(*) from pg_stat_activity where datname = '{name}' and query like 'with slept%'"
        await anyio.to_thread.run_sync(postgres_server.wait_for_sql, active, "1")
        began = time.monotonic()
        link.reset()
        with pytest.raises(ConnectionLost) as caught:
            await task
        assert time.monotonic() - began < 0.2
        assert caught.value.outcome_unknown
        # The statement that was cut off still sleeps; a repetition would be a second one.
        assert postgres_server.sql(active) == "1"
        assert await postgres.fetch_value(int, "select 1") == 1


@pytest.mark.parametrize("how", ["command_timeout", "timeout", "cancellation"])
async def test_a_hung_server_holds_nobody_past_the_deadline(own_postgres_server: PostgresServer, how: str) -> None:
    settings: dict[str, Any] = {"max_size": 2, "acquire_timeout": 0.5}
    async with opened(own_postgres_server.dsn(), **settings, command_timeout=0.5) as postgres:
        await lend_all(postgres, 2)
        own_postgres_server.freeze()
        began = time.monotonic()
        if how == "command_timeout":
            with pytest.raises(QueryTimeout):
                await postgres.fetch_value(int, "select 1")
        elif how == "timeout":
            with pytest.raises(QueryTimeout):
                await postgres.fetch_value(int, "select 1", timeout=0.5)
        else:
            with anyio.move_on_after(0.5) as scope:
                await postgres.fetch_value(int, "select 1", timeout=60)
            assert scope.cancelled_caught
        assert abs(time.monotonic() - began - 0.5) < 0.2
        # The permit comes back although the server never acknowledges the cancellation.
        await until(lambda: postgres.statistics().in_use == 0, limit=1.0)
        own_postgres_server.thaw()
        await heals(postgres)


async def test_a_transaction_on_a_hung_server_is_left_at_the_deadline(own_postgres_server: PostgresServer) -> None:
    async with opened(own_postgres_server.dsn(), max_size=1) as postgres:
        began = time.monotonic()
        with anyio.move_on_after(0.5) as scope:
            async with postgres.transaction() as transaction:
                await transaction.fetch_value(int, "select 1")
                own_postgres_server.freeze()
                await transaction.fetch_value(int, "select 1")
        assert scope.cancelled_caught
        assert abs(time.monotonic() - began - 0.5) < 0.2
        await until(lambda: postgres.statistics().in_use == 0, limit=1.0)
        own_postgres_server.thaw()
        await heals(postgres)


async def test_a_new_connection_to_a_hung_server_is_given_up_in_time(own_postgres_server: PostgresServer) -> None:
    async with opened(own_postgres_server.dsn(), max_size=2, acquire_timeout=0.5) as postgres, postgres.acquire():
        own_postgres_server.freeze()
        began = time.monotonic()
        with pytest.raises(ConnectionLost, match=r"gave no connection within 0\.5 s"):
            await postgres.fetch_value(int, "select 1")
        assert abs(time.monotonic() - began - 0.5) < 0.2
        own_postgres_server.thaw()


async def test_a_connection_whose_caller_gave_up_is_for_the_next(own_postgres_server: PostgresServer) -> None:
    async with opened(own_postgres_server.dsn(), max_size=2) as postgres, postgres.acquire():
        own_postgres_server.freeze()
        with anyio.move_on_after(0.1):
            await postgres.fetch_value(int, "select 1")
        own_postgres_server.thaw()
        await until(lambda: postgres.statistics().idle == 1)
        assert postgres.statistics().opened == 2


async def test_closing_ends_in_bounded_time_on_a_hung_server(own_postgres_server: PostgresServer) -> None:
    async with opened(own_postgres_server.dsn()) as postgres:
        await lend_all(postgres, 3)
        own_postgres_server.freeze()
        began = time.monotonic()
    assert time.monotonic() - began < 1.5
    own_postgres_server.thaw()


async def test_an_exhausted_pool_is_a_typed_timeout_that_shows_its_state(database: str) -> None:
    async with opened(database, max_size=1, acquire_timeout=0.1) as postgres, postgres.acquire():
        with pytest.raises(
            PoolExhausted, match=r"1 of 1 connections in use, 0 idle, .*; .*or raise max_size$"
        ) as caught:
            await postgres.fetch_value(int, "select 1")
        assert isinstance(caught.value, DeadlineExceeded)
        now = postgres.statistics()
        assert (now.in_use, now.waiting, now.exhausted) == (1, 0, 1)


async def test_a_wait_for_a_connection_ends_with_the_deadline_around_it(database: str) -> None:
    @Pipeline("hurried", Timeout(0.2))
    async def hurried(postgres: Postgres) -> int:
        return await postgres.fetch_value(int, "select 1")

    async with opened(database, max_size=1, acquire_timeout=30) as postgres, postgres.acquire():
        with pytest.raises(PoolExhausted, match=r"no connection came free within 0.[12]\d* s; 1 of 1"):
            await hurried(postgres)
        assert postgres.statistics().waiting == 0


async def test_who_waits_is_served_in_order_when_a_connection_comes_back(database: str) -> None:
    order: list[int] = []

    async def call(postgres: Postgres, number: int) -> None:
        order.append(await postgres.fetch_value(int, "select $1::int", number))

    async with opened(database, max_size=1) as postgres, anyio.create_task_group() as group, postgres.acquire():
        for number in range(5):
            group.start_soon(call, postgres, number)
            await until(lambda: postgres.statistics().waiting == number + 1)  # noqa: B023 - polled right here
    assert order == [0, 1, 2, 3, 4]


async def test_a_cancelled_statement_leaves_its_connection_to_the_next(database: str) -> None:
    async with opened(database, max_size=1) as postgres:
        with anyio.move_on_after(0.05):
            await postgres.execute(SLEEP)
        assert await postgres.fetch_value(int, "select 1") == 1
        now = postgres.statistics()
        assert (now.opened, now.lost, now.in_use) == (1, 0, 0)


async def test_a_cancelled_transaction_is_rolled_back_before_anybody_uses_its_connection(database: str) -> None:
    async with opened(database, max_size=1) as postgres:
        await postgres.execute("create table t (x int)")
        with anyio.move_on_after(0.1):
            async with postgres.transaction() as transaction:
                await transaction.execute("insert into t values (1)")
                await transaction.execute(SLEEP)
        assert await postgres.fetch_value(int, "select count(*) from t") == 0
        assert postgres.statistics().opened == 1


async def test_cancelling_at_each_await_leaks_nothing(database: str) -> None:
    async def work(postgres: Postgres) -> None:
        async with postgres.transaction() as outer:
            await outer.execute("insert into t values (1)")
            async with outer.transaction() as inner:
                await inner.fetch_all(int, "select x from t")
        async with postgres.acquire() as connection:
            await connection.fetch_value(int, "select 1")
        await postgres.copy("t", [(1,), (2,)], ["x"])

    async with opened(database, max_size=2) as postgres:
        await postgres.execute("create table t (x int)")
        finished, step = False, 0
        while not finished:
            step += 1
            finished = await _cancelled_at(step, work(postgres))
            await until(lambda: postgres.statistics().in_use == 0)
        assert step > 8
        assert postgres.statistics().size <= 2
        assert await postgres.fetch_value(int, "select 1") == 1


async def _cancelled_at(suspension: int, work: Coroutine[Any, Any, None]) -> bool:
    """Run something and cancel its task at its so-manieth suspension; whether it finished before that."""

    class Counted:
        def __await__(self) -> Any:
            steps = work.__await__()
            for number in itertools.count(1):
                try:
                    waited = next(steps) if number == 1 else steps.send(None)
                except StopIteration:
                    return
                if number == suspension:
                    asyncio.get_running_loop().call_soon(task.cancel)
                while True:
                    try:
                        yield waited
                        break
                    except BaseException as error:
                        try:
                            waited = steps.throw(error)
                        except StopIteration:
                            return

    async def counted() -> None:
        await Counted()

    task = asyncio.ensure_future(counted())
    try:
        await task
    except asyncio.CancelledError:
        return False
    return True


async def test_an_old_connection_is_replaced_when_it_is_next_needed(database: str) -> None:
    clock = FakeClock()
    async with opened(database, clock=clock, recycle=3600.0, pre_ping=1e9) as postgres:
        first = await postgres.fetch_value(int, "select pg_backend_pid()")
        clock.tick(3599)
        assert await postgres.fetch_value(int, "select pg_backend_pid()") == first
        clock.tick(1)
        assert await postgres.fetch_value(int, "select pg_backend_pid()") != first
        assert postgres.statistics().recycled == 1


async def test_after_a_pause_a_connection_is_asked_for_a_sign_of_life(
    postgres_server: PostgresServer, database: str
) -> None:
    clock = FakeClock()
    async with (
        proxy(postgres_server.host, postgres_server.port) as link,
        opened(database.replace(f":{postgres_server.port}", f":{link.port}"), clock=clock, pre_ping=30.0) as postgres,
    ):
        first = await postgres.fetch_value(int, "select pg_backend_pid()")
        clock.tick(31)
        assert await postgres.fetch_value(int, "select pg_backend_pid()") == first
        postgres_server.sql(f"select pg_terminate_backend({first})")
        clock.tick(31)
        assert await postgres.fetch_value(int, "select pg_backend_pid()") != first


@pytest.mark.parametrize(
    ("change", "way_out"),
    [
        ({"host": "127.0.0.1"}, "nobody listens there"),
        ({"database": "missing"}, "create the database, or name another one"),
        ({"host": "no-such-host.invalid"}, "check the host name and the network"),
    ],
)
async def test_unreachable_at_start_is_one_clear_error_without_the_password(
    postgres_server: PostgresServer, change: dict[str, str], way_out: str
) -> None:
    settings = {"host": postgres_server.host, "database": "postgres", **change}
    port = postgres_server.port if "host" not in change else free_port()
    with pytest.raises(ResourceUnavailable) as caught:
        async with Postgres.open(
            PostgresSettings(**settings, port=port, user="postgres", password=Secret("canary"))  # type: ignore[arg-type]
        ):
            pass
    words = str(caught.value)
    assert f"cannot connect to {settings['host']}:{port}, database {settings['database']!r}, user 'postgres'" in words
    assert way_out in words
    assert "canary" not in words


async def test_dead_letters_that_cannot_be_stored_are_an_error_that_stops_the_commit(
    own_postgres_server: PostgresServer,
) -> None:
    letter = DeadLetter(id="t/0/1", source="flights", topic="t", value=b"x", cause="ValueError", reason="bad")
    async with opened(own_postgres_server.dsn()) as postgres:
        store = PostgresDeadLetters(postgres)
        await store.put([letter])
        own_postgres_server.kill()
        with pytest.raises(ResourceUnavailable):
            await store.put([letter])
        own_postgres_server.start()
        await heals(postgres)
        await store.put([letter])
        assert await store.count() == 1
