"""The verbs on a real server: typed rows, counts, transactions, and what goes wrong with them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict
from uuid import UUID, uuid4

import anyio
import msgspec
import pytest

from corten.errors import DeadlineExceeded
from corten_postgres import (
    CheckViolation,
    ForeignKeyViolation,
    NotNullViolation,
    Postgres,
    QueryError,
    QueryTimeout,
    RowError,
    RowMissing,
    UniqueViolation,
)

pytestmark = [pytest.mark.anyio, pytest.mark.services]

TABLE = """
create table airports (
    id integer primary key,
    code text not null constraint airports_code_unique unique,
    altitude integer constraint airports_altitude_range check (altitude < 30000),
    hub integer constraint airports_hub_known references airports (id),
    details jsonb
)
"""


class Airport(msgspec.Struct, frozen=True):
    id: int
    code: str
    altitude: int | None = None
    details: dict[str, Any] | None = None


@dataclass
class ByDataclass:
    id: int
    code: str


class ByTypedDict(TypedDict):
    id: int
    code: str


class ByNamedTuple(NamedTuple):
    code: str
    id: int


@pytest.fixture
async def airports(postgres: Postgres) -> Postgres:
    await postgres.execute(TABLE)
    await postgres.copy(
        "airports",
        [(1, "JFK", 13, {"runways": [4, 13]}), (2, "LGA", None, None)],
        ["id", "code", "altitude", "details"],
    )
    return postgres


async def test_rows_become_structs(airports: Postgres) -> None:
    rows = await airports.fetch_all(Airport, "select * from airports order by id")
    assert rows == [Airport(1, "JFK", 13, {"runways": [4, 13]}), Airport(2, "LGA")]


async def test_rows_become_what_else_has_names_and_tuples_by_position(airports: Postgres) -> None:
    query = "select id, code from airports where id = $1"
    assert await airports.fetch_one(ByDataclass, query, 1) == ByDataclass(1, "JFK")
    assert await airports.fetch_one(ByTypedDict, query, 1) == {"id": 1, "code": "JFK"}
    assert await airports.fetch_one(ByNamedTuple, query, 1) == ByNamedTuple("JFK", 1)
    assert await airports.fetch_one(dict, query, 1) == {"id": 1, "code": "JFK"}
    assert await airports.fetch_one(tuple[int, str], query, 1) == (1, "JFK")


@pytest.mark.parametrize(
    ("kind", "expression", "value"),
    [
        (int, "count(*)", 2),
        (str, "min(code)", "JFK"),
        (bool, "bool_and(id > 0)", True),
        (Decimal, "sum(id)::numeric(10, 1)", Decimal("3.0")),
        (float, "sum(id)::numeric", 3.0),
        (list[str], "array_agg(code order by code)", ["JFK", "LGA"]),
        (datetime.date, "'2013-01-31'::date", datetime.date(2013, 1, 31)),
        (bytes, r"'\x00ff'::bytea", b"\x00\xff"),
        (UUID, "'12345678-1234-5678-1234-567812345678'::uuid", UUID("12345678-1234-5678-1234-567812345678")),
    ],
)
async def test_a_single_column_becomes_a_value(
    airports: Postgres, kind: type[Any], expression: str, value: Any
) -> None:
    assert await airports.fetch_value(kind, f"select {expression} from airports") == value


async def test_nothing_found_is_an_empty_list_none_or_an_error(airports: Postgres) -> None:
    query = "select * from airports where id = 77"
    assert await airports.fetch_all(Airport, query) == []
    assert await airports.fetch_optional(Airport, query) is None
    assert await airports.fetch_optional(int, "select max(altitude) from airports where id = 77") is None
    with pytest.raises(RowMissing, match="no row; query: select"):
        await airports.fetch_one(Airport, query)


async def test_a_row_that_does_not_fit_names_column_type_and_query(airports: Postgres) -> None:
    with pytest.raises(RowError) as caught:
        await airports.fetch_all(Airport, "select id, code, code as altitude from airports")
    assert str(caught.value) == (
        "postgres 'default': column 'altitude' of row 0 does not fit Airport: Expected `int | null`, got `str`; "
        "query: select id, code, code as altitude from airports"
    )


async def test_a_missing_column_is_named_with_those_that_are_there(airports: Postgres) -> None:
    with pytest.raises(RowError, match=r"row 0 does not fit Airport: .*`code`; it has id, altitude"):
        await airports.fetch_one(Airport, "select id, altitude from airports")


async def test_a_value_of_several_columns_is_refused(airports: Postgres) -> None:
    with pytest.raises(RowError, match=r"a int is one column, the query gives 2 \(id, code\)"):
        await airports.fetch_all(int, "select id, code from airports")


async def test_execute_says_how_many_rows_it_touched(airports: Postgres) -> None:
    assert await airports.execute("update airports set altitude = 20") == 2
    assert await airports.execute("delete from airports where id = $1", 2) == 1
    assert await airports.execute("create index on airports (altitude)") == 0


async def test_execute_many_does_all_or_nothing(airports: Postgres) -> None:
    with pytest.raises(UniqueViolation):
        await airports.execute_many(
            "insert into airports (id, code) values ($1, $2)", [(3, "EWR"), (4, "BOS"), (5, "JFK")]
        )
    assert await airports.fetch_value(int, "select count(*) from airports") == 2


async def test_copy_does_all_or_nothing_and_takes_asynchronous_records(airports: Postgres) -> None:
    async def records(last: str) -> Any:
        yield (10, "ORD")
        yield (11, last)

    with pytest.raises(UniqueViolation):
        await airports.copy("airports", records("JFK"), ["id", "code"])
    assert await airports.copy("airports", records("ATL"), ["id", "code"]) == 2
    assert await airports.fetch_value(int, "select count(*) from airports") == 4


async def test_a_source_of_records_that_fails_leaves_the_pool_whole(airports: Postgres) -> None:
    def records() -> Any:
        yield (10, "ORD")
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await airports.copy("airports", records(), ["id", "code"])
    assert await airports.fetch_value(int, "select count(*) from airports") == 2


@pytest.mark.parametrize(
    ("statement", "kind", "constraint", "column"),
    [
        ("insert into airports values (1, 'XXX')", UniqueViolation, "airports_pkey", ""),
        ("insert into airports values (9, 'JFK')", UniqueViolation, "airports_code_unique", ""),
        ("insert into airports values (9, null)", NotNullViolation, "", "code"),
        ("insert into airports values (9, 'XXX', 99999)", CheckViolation, "airports_altitude_range", ""),
        ("insert into airports values (9, 'XXX', 1, 77)", ForeignKeyViolation, "airports_hub_known", ""),
    ],
)
async def test_a_violated_constraint_is_named_and_not_retryable(
    airports: Postgres, statement: str, kind: type[UniqueViolation], constraint: str, column: str
) -> None:
    with pytest.raises(kind) as caught:
        await airports.execute(statement)
    error = caught.value
    assert (error.constraint, error.column, error.table) == (constraint, column, "airports")
    assert not error.retryable


async def test_values_of_a_violating_row_are_not_in_the_message(airports: Postgres) -> None:
    with pytest.raises(UniqueViolation) as caught:
        await airports.execute("insert into airports values ($1, $2)", 9, "JFK")
    assert "JFK" not in str(caught.value)
    assert "JFK" in caught.value.detail


async def test_a_wrong_statement_or_argument_is_an_error_of_the_query(airports: Postgres) -> None:
    with pytest.raises(QueryError, match='syntax error at or near "selec"'):
        await airports.execute("selec 1")
    with pytest.raises(QueryError, match="invalid input for query argument"):
        await airports.execute("delete from airports where id = $1", "one")


async def test_a_slow_statement_times_out_and_is_cancelled_at_the_server(airports: Postgres) -> None:
    with pytest.raises(QueryTimeout) as caught:
        await airports.execute("select pg_sleep(60)", timeout=0.1)
    assert isinstance(caught.value, DeadlineExceeded)
    assert caught.value.seconds == 0.1
    running = "select count(*) from pg_stat_activity where datname = current_database() and query like '%sleep(60)%'"
    with anyio.fail_after(5):
        while await airports.fetch_value(  # noqa: ASYNC110 - what is waited for happens in another process
            int, running + " and state = 'active' and pid <> pg_backend_pid()"
        ):
            await anyio.sleep(0.01)


async def test_a_transaction_commits_at_its_end(airports: Postgres) -> None:
    async with airports.transaction() as transaction:
        await transaction.execute("insert into airports values (3, 'EWR')")
        assert await airports.fetch_value(int, "select count(*) from airports") == 2
    assert await airports.fetch_value(int, "select count(*) from airports") == 3


async def test_a_transaction_rolls_back_on_an_error(airports: Postgres) -> None:
    with pytest.raises(ZeroDivisionError):
        async with airports.transaction() as transaction:
            await transaction.execute("insert into airports values (3, 'EWR')")
            raise ZeroDivisionError
    assert await airports.fetch_value(int, "select count(*) from airports") == 2
    assert airports.statistics().in_use == 0


async def test_a_transaction_within_is_a_savepoint(airports: Postgres) -> None:
    async with airports.transaction() as outer:
        await outer.execute("insert into airports values (3, 'EWR')")
        with pytest.raises(UniqueViolation):
            async with outer.transaction() as inner:
                await inner.execute("insert into airports values (4, 'BOS')")
                await inner.execute("insert into airports values (3, 'XXX')")
        async with outer.transaction() as inner:
            await inner.execute("insert into airports values (5, 'ORD')")
    assert await airports.fetch_all(int, "select id from airports order by id") == [1, 2, 3, 5]


async def test_a_cancelled_savepoint_is_rolled_back_before_the_transaction_goes_on(airports: Postgres) -> None:
    async with airports.transaction() as outer:
        with anyio.move_on_after(0.05):
            async with outer.transaction() as inner:
                await inner.execute("insert into airports values (4, 'BOS')")
                await inner.execute("select pg_sleep(60)")
        await outer.execute("insert into airports values (3, 'EWR')")
    assert await airports.fetch_all(int, "select id from airports order by id") == [1, 2, 3]


async def test_a_transaction_has_the_isolation_that_was_asked_for(postgres: Postgres) -> None:
    async with postgres.transaction(isolation="serializable", read_only=True) as transaction:
        assert await transaction.fetch_value(str, "show transaction_isolation") == "serializable"
        with pytest.raises(QueryError, match="read-only transaction"):
            await transaction.execute("create table t (x int)")


async def test_an_unknown_isolation_is_refused(postgres: Postgres) -> None:
    with pytest.raises(ValueError, match="there is no isolation level"):
        async with postgres.transaction(isolation="chaos; drop table airports"):  # type: ignore[arg-type]
            pass
    assert postgres.statistics().in_use == 0


async def test_a_borrowed_session_is_reset_before_somebody_else_gets_it(database: str) -> None:
    from corten.secrets import Secret
    from corten_postgres import PostgresSettings

    async with Postgres.open(PostgresSettings(dsn=Secret(database), max_size=1)) as postgres:
        before = await postgres.fetch_value(str, "show work_mem")
        async with postgres.acquire() as connection:
            await connection.execute("set work_mem = '77MB'")
            assert await connection.fetch_value(str, "show work_mem") == "77MB"
        assert await postgres.fetch_value(str, "show work_mem") == before
        await postgres.execute("set work_mem = '78MB'")
        assert await postgres.fetch_value(str, "show work_mem") == before
        async with postgres.transaction() as transaction:
            await transaction.execute("set work_mem = '79MB'")
        assert await postgres.fetch_value(str, "show work_mem") == before
        assert postgres.statistics().opened == 1


async def test_json_is_encoded_and_decoded_by_msgspec(postgres: Postgres) -> None:
    await postgres.execute("create table documents (id uuid primary key, a json, b jsonb)")
    one = uuid4()
    airport = Airport(1, "JFK")
    await postgres.execute("insert into documents values ($1, $2, $3)", one, airport, msgspec.Raw(b'{"x": 1}'))
    row = await postgres.fetch_one(tuple[Airport, dict[str, int]], "select a, b from documents where id = $1", one)
    assert row == (airport, {"x": 1})
